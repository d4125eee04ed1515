import { isLive } from "@/api/run-status";
import type { RecentRun, RunStatus } from "@/api/types";
import { classNames } from "@/components/class-names";
import { formatDuration } from "@/format/duration";
import { countWithNoun } from "@/format/number";
import { countStatuses, STATUS_WORDS } from "@/api/status-words";
import { absoluteTime } from "@/format/time";

const SHOWN = 14; // as many as the API returns

// Each status has a height of its own, so that the color is not the only difference.
const BARS: Record<RunStatus, string> = {
  succeeded: "h-2.5 bg-good",
  failed: "h-4 bg-bad",
  cancelled: "h-1 bg-faint",
  running: "h-4 animate-breathe bg-live",
  pending: "h-1.5 bg-wait",
};

/**
 * The newest runs of a pipeline as bars, the newest at the right. Its size does not depend on their number. The bars are
 * links for the mouse, too small for other uses: the keyboard and screen readers get the last run and the pipeline's page.
 * `runs` are newest first; they are undefined while they are loaded.
 */
export function RunStrip({ runs = [] }: { runs: RecentRun[] | undefined }) {
  return (
    <>
      <span className="sr-only">{summary(runs)}</span>
      <Bars runs={runs} />
    </>
  );
}

function Bars({ runs }: { runs: RecentRun[] }) {
  return (
    <div aria-hidden="true" className="flex h-5 w-[6.125rem] items-end gap-px">
      {Array.from({ length: SHOWN - runs.length }, (_, index) => (
        <span key={`none ${index}`} className="mx-px mb-0.5 h-1 w-1 shrink-0 rounded-[1px] bg-line" />
      ))}
      {[...runs].reverse().map((run) => (
        <RunBar key={run.id} run={run} />
      ))}
    </div>
  );
}

function RunBar({ run }: { run: RecentRun }) {
  return (
    <a
      href={`/runs/${run.id}`}
      title={inWords(run)}
      tabIndex={-1}
      className="group flex h-5 w-1.5 shrink-0 items-end justify-center pb-0.5"
    >
      <span className={classNames("w-1 rounded-[1px] group-hover:w-1.5", BARS[run.status])} />
    </a>
  );
}

function inWords({ status, created_at, duration_seconds, records }: RecentRun): string {
  const parts = [STATUS_WORDS[status], absoluteTime(created_at)];
  if (duration_seconds !== null) parts.push(formatDuration(duration_seconds));
  if (!isLive(status)) parts.push(countWithNoun(records, "record"));
  return parts.join(", ");
}

/** Such as `14 runs: 12 succeeded, 2 failed`. */
function summary(runs: RecentRun[]): string {
  if (runs.length === 0) return "No runs";
  return `${countWithNoun(runs.length, "run")}: ${countStatuses(runs)}`;
}
