import { useState } from "react";
import { isLive } from "@/api/run-status";
import type { RecentRun, RunStatus } from "@/api/types";
import { classNames } from "@/components/class-names";
import { formatDuration } from "@/format/duration";
import { countWithNoun } from "@/format/number";
import { countStatuses, STATUS_WORDS } from "@/api/status-words";
import { absoluteTime } from "@/format/time";

const SHOWN = 14; // as many as the API returns
const SLOT = 7; // pixels from one bar to the next
const BAR = 4; // pixels
const BOTTOM = 18; // pixels from the top of the strip to the foot of the bars

// Each status has a height of its own, so that the color is not the only difference.
const BARS: Record<RunStatus, { height: number; className: string }> = {
  succeeded: { height: 10, className: "text-good" },
  failed: { height: 16, className: "text-bad" },
  cancelled: { height: 4, className: "text-faint" },
  running: { height: 16, className: "animate-breathe text-live" },
  pending: { height: 6, className: "text-wait" },
};
const STATUSES = Object.keys(BARS) as RunStatus[];

/**
 * The newest runs of a pipeline as bars, the newest at the right. Its size does not depend on their number. The bars are
 * links for the mouse, too small for other uses: the keyboard and screen readers get the last run and the pipeline's page.
 * The links are made when the mouse is over the strip. Before, it is one drawing, so that the list scrolls smoothly.
 * `runs` are newest first; they are undefined while they are loaded.
 */
export function RunStrip({ runs = [] }: { runs: RecentRun[] | undefined }) {
  const [isPointed, setPointed] = useState(false);
  return (
    <>
      <span className="sr-only">{summary(runs)}</span>
      <div
        aria-hidden="true"
        className="relative h-5 w-[6.125rem]"
        onPointerEnter={() => setPointed(true)}
        onPointerLeave={() => setPointed(false)}
      >
        <Drawing runs={runs} />
        {isPointed && runs.map((run, index) => <RunLink key={run.id} run={run} left={leftOf(index)} />)}
      </div>
    </>
  );
}

/** The distance of a run from the left, in pixels. */
function leftOf(index: number): number {
  return (SHOWN - 1 - index) * SLOT;
}

function Drawing({ runs }: { runs: RecentRun[] }) {
  const empty = Array.from({ length: SHOWN - runs.length }, (_, index) => barAt(index * SLOT, BAR));
  return (
    <svg width={SHOWN * SLOT} height="20" fill="currentColor">
      {empty.length > 0 && <path d={empty.join("")} className="text-line" />}
      {STATUSES.map((status) => {
        const { height, className } = BARS[status];
        const bars = runs.flatMap((run, index) =>
          run.status === status ? [barAt(leftOf(index), height)] : [],
        );
        return bars.length > 0 && <path key={status} d={bars.join("")} className={className} />;
      })}
    </svg>
  );
}

function barAt(left: number, height: number): string {
  return `M${left + 1} ${BOTTOM - height}h${BAR}v${height}h-${BAR}z`;
}

function RunLink({ run, left }: { run: RecentRun; left: number }) {
  return (
    <a
      href={`/runs/${run.id}`}
      title={inWords(run)}
      tabIndex={-1}
      className="group absolute inset-y-0 w-1.5"
      style={{ left }}
    >
      <span
        className={classNames(
          "absolute inset-x-0 hidden bg-current group-hover:block",
          BARS[run.status].className,
        )}
        style={{ top: BOTTOM - BARS[run.status].height, height: BARS[run.status].height }}
      />
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
