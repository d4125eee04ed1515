import { isRunStatus } from "@/api/run-status";
import type { RunStatus } from "@/api/types";

interface RunFilter {
  status?: RunStatus;
}

export function parseRunFilter(search: Record<string, unknown>): RunFilter {
  return isRunStatus(search.status) ? { status: search.status } : {};
}
