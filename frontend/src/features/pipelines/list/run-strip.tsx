import { Link } from "@tanstack/react-router";
import { isLive } from "@/api/run-status";
import type { RecentRun, RunStatus } from "@/api/types";
import { classNames } from "@/components/class-names";
import { formatDuration } from "@/format/duration";
import { countWithNoun } from "@/format/number";
import { absoluteTime } from "@/format/time";

const SHOWN = 14; // as many as the API returns

// Each status has a height of its own, so that the colour is not the only difference.
const BARS: Record<RunStatus, string> = {
  succeeded: "h-2.5 bg-good",
  failed: "h-4 bg-bad",
  cancelled: "h-1 bg-faint",
  running: "h-4 animate-breathe bg-live",
  pending: "h-1.5 bg-wait",
};
const WORDS: Record<RunStatus, string> = {
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
  running: "Running",
  pending: "Waiting",
};

interface Props {
  /** Newest first; undefined while they are loaded. */
  runs: RecentRun[] | undefined;
  /** Whether the Tab key reaches the runs. */
  isActive: boolean;
}

/** The newest runs of a pipeline as bars, the newest at the right. Its size does not depend on their number. */
export function RunStrip({ runs = [], isActive }: Props) {
  return (
    <div className="flex h-5 w-[6.125rem] items-end gap-px">
      {Array.from({ length: SHOWN - runs.length }, (_, index) => (
        <span key={`none ${index}`} className="mx-px mb-0.5 h-1 w-1 shrink-0 rounded-[1px] bg-line" />
      ))}
      {[...runs].reverse().map((run) => (
        <RunBar key={run.id} run={run} isActive={isActive} />
      ))}
    </div>
  );
}

function RunBar({ run, isActive }: { run: RecentRun; isActive: boolean }) {
  const text = inWords(run);
  return (
    <Link
      to="/runs/$runId"
      params={{ runId: run.id }}
      preload={false}
      title={text}
      aria-label={`Run: ${text}`}
      tabIndex={isActive ? undefined : -1}
      className="group flex h-5 w-1.5 shrink-0 items-end justify-center pb-0.5"
    >
      <span className={classNames("w-1 rounded-[1px] group-hover:w-1.5", BARS[run.status])} />
    </Link>
  );
}

function inWords({ status, created_at, duration_seconds, records }: RecentRun): string {
  const parts = [WORDS[status], absoluteTime(created_at)];
  if (duration_seconds !== null) parts.push(formatDuration(duration_seconds));
  if (!isLive(status)) parts.push(countWithNoun(records, "record"));
  return parts.join(", ");
}
