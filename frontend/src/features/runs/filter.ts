import { isRunStatus } from "@/api/run-status";
import type { RunStatus } from "@/api/types";

interface RunFilter {
  status?: RunStatus;
}

export function parseRunFilter(search: Record<string, unknown>): RunFilter {
  return isRunStatus(search.status) ? { status: search.status } : {};
}

interface RunSearch {
  /** The number of the log line to jump to, as the page shows it. The first line has the number 1. */
  line?: number;
}

export function parseRunSearch({ line }: Record<string, unknown>): RunSearch {
  return Number.isSafeInteger(line) && Number(line) > 0 ? { line: Number(line) } : {};
}
