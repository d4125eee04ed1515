import type { RunStatus } from "./types";

const STATUSES: readonly string[] = ["pending", "running", "succeeded", "failed", "cancelled"];

export function isRunStatus(value: unknown): value is RunStatus {
  return typeof value === "string" && STATUSES.includes(value);
}

/** Whether the run can still change: it waits or runs. */
export function isLive(status: RunStatus): boolean {
  return status === "pending" || status === "running";
}
