import type { PipelineRow, RunRow, RunStatus, RunStream } from "./types";

const STATUSES: readonly string[] = ["pending", "running", "succeeded", "failed", "cancelled"];

export function isRunStatus(value: unknown): value is RunStatus {
  return typeof value === "string" && STATUSES.includes(value);
}

/** Whether the run is pending or running, so that it can still change. */
export function isLive(status: RunStatus): boolean {
  return status === "pending" || status === "running";
}

/** The words for a last run that is live and no ordinary one; undefined for all others. */
export function liveKindInWords({ kind, status }: NonNullable<PipelineRow["last_run"]>): string | undefined {
  if (kind === "ordinary" || !isLive(status)) return undefined;
  if (kind === "backfill") return status === "pending" ? "Backfill waiting" : "Backfill running";
  return status === "pending" ? "Waiting to send again" : "Sending again";
}

/** Why another run cannot start now, or null. */
export function reasonOfLiveRun(run: PipelineRow["last_run"]): string | null {
  if (!run || !isLive(run.status)) return null;
  if (run.kind === "backfill") return "A backfill is in progress.";
  return run.kind === "replay" ? "Rejected records are being sent again." : "A run is in progress.";
}

/** What the word "staged" beside a number of records means. */
export const STAGED_TITLE = "Staged, not published: the destination has none of them";

/** Whether the records that a run has written are only staged: it has ended without publishing a stream. */
export function isOnlyStaged(run: Pick<RunRow, "status" | "streams_succeeded" | "progress">): boolean {
  const hasFailed = run.status === "failed" || run.status === "cancelled";
  return hasFailed && run.streams_succeeded === 0 && run.progress.written > 0;
}

/** Whether the records that a stream has written are only staged, because it has failed or was cancelled. */
export function hasOnlyStagedRecords({ status, written }: Pick<RunStream, "status" | "written">): boolean {
  return (status === "failed" || status === "cancelled") && written > 0;
}
