import type { Freshness, RunStatus, RunTrigger } from "./types";

/** The status of a run in words. */
export const STATUS_WORDS: Record<RunStatus, string> = {
  running: "Running",
  pending: "Waiting",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** What started a run, in words. */
export const TRIGGER_WORDS: Record<RunTrigger, string> = {
  schedule: "Schedule",
  manual: "By hand",
  api: "API",
  retry: "Retry",
  backfill: "Backfill",
  replay: "Send again",
  dependency: "After another pipeline",
  hook: "Hook",
  file: "New file",
};

/** The freshness of a pipeline in words. Without one, the pipeline is disabled, has no active schedule or has not run. */
export const FRESHNESS_WORDS: Record<Freshness, string> = {
  failing: "Failing",
  late: "Late",
  fresh: "Fresh",
  none: "Not scheduled",
};

/** How many runs have each status, such as `12 succeeded, 2 failed`. */
export function countStatuses(runs: { status: RunStatus }[]): string {
  const counts = Object.entries(STATUS_WORDS).flatMap(([status, word]) => {
    const count = runs.filter((run) => run.status === status).length;
    return count > 0 ? [`${count} ${word.toLowerCase()}`] : [];
  });
  return counts.join(", ");
}
