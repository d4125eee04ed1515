import type { RunStatus } from "@/api/types";
import { isRunStatus } from "@/features/pipelines/filter";

export interface RunFilter {
  status?: RunStatus;
}

export function parseRunFilter(search: Record<string, unknown>): RunFilter {
  return isRunStatus(search.status) ? { status: search.status } : {};
}
