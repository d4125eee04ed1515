import type { ClockChange } from "@/api/types";
import type { CheckedSchedule } from "@/components/schedule-fields";
import { usesLocalTime, type Schedule } from "@/format/schedule";
import { browserTimeZone, shortTime } from "@/format/time";
import { WarningIcon } from "./icons";

interface Props {
  schedule: Schedule | null;
  checked: CheckedSchedule;
}

/**
 * The next times of a schedule in its own time zone, and in the user's where the two differ. The list has its full height
 * even without times, so that the page does not move when they arrive.
 */
export function NextRuns({ schedule, checked: { times, changes, afterBlackout, problem } }: Props) {
  const own = browserTimeZone();
  const zone = (schedule && usesLocalTime(schedule) && schedule.timezone) || own;
  const differs = times.some((time) => shortTime(time, zone) !== shortTime(time, own));
  return (
    <>
      <ol className="grid content-start gap-1 text-[0.8125rem] tabular-nums" aria-live="polite">
        {times.map((time) => (
          <li key={time} className="flex flex-wrap gap-x-2">
            <time dateTime={time}>{shortTime(time, zone)}</time>
            {differs && <span className="text-faint">{ownTime(time, zone, own)} your time</span>}
            {changes.some(({ runs_at }) => Date.parse(runs_at) === Date.parse(time)) && (
              <span className="text-wait">clocks change</span>
            )}
            {afterBlackout.includes(time) && <span className="text-wait">a blackout ends</span>}
          </li>
        ))}
      </ol>
      {schedule && times.length === 0 && problem === null && (
        <p className="text-soft">The schedule has no further times.</p>
      )}
      {times.length > 0 && (
        <p className="mt-2 text-xs text-faint">
          {differs ? `In the time zone ${zone} of the schedule.` : "In your time zone."}
        </p>
      )}
      <ClockChanges changes={changes} />
    </>
  );
}

/** The time in the user's zone, with its day only where this is another one. */
function ownTime(time: string, zone: string, own: string): string {
  const [[there], [here, clock]] = [zone, own].map((each) => shortTime(time, each).split(", ")) as [
    string[],
    string[],
  ];
  return here === there ? clock! : shortTime(time, own);
}

/** What the next changes of the clocks do to the times of the schedule. */
export function ClockChanges({ changes }: { changes: ClockChange[] }) {
  if (changes.length === 0) return null;
  return (
    <ul aria-label="When clocks change" className="mt-2 grid gap-1 text-[0.8125rem] text-soft">
      {changes.map(({ in_words }) => (
        <li key={in_words} className="flex gap-1.5">
          <WarningIcon className="mt-0.5 shrink-0 text-wait" />
          {in_words}
        </li>
      ))}
    </ul>
  );
}
