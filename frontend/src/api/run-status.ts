import type { RunStatus } from "./types";

const STATUSES: readonly string[] = ["pending", "running", "succeeded", "failed", "cancelled"];

export function isRunStatus(value: unknown): value is RunStatus {
  return typeof value === "string" && STATUSES.includes(value);
}

/** Whether the run is pending or running, so that it can still change. */
export function isLive(status: RunStatus): boolean {
  return status === "pending" || status === "running";
}
