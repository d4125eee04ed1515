import { isRunStatus } from "@/api/run-status";
import type { LogLine, RunStatus } from "@/api/types";

interface RunFilter {
  status?: RunStatus;
}

export function parseRunFilter(search: Record<string, unknown>): RunFilter {
  return isRunStatus(search.status) ? { status: search.status } : {};
}

export interface RunSearch {
  /** The number of the log line to jump to, as the page shows it. The first line has the number 1. */
  line?: number;
  /** Only lines of the log of this level and of more severe levels. */
  level?: LogLine["level"];
  /** Only lines of the log with this text. */
  q?: string;
  /** Whether the lines that match are shown among all others. */
  context?: true;
  /** Whether the records at the destination are shown, and of which stream; by default of the first one. */
  records?: true;
  stream?: string;
}

const LEVELS: readonly unknown[] = ["info", "warning", "error"] satisfies LogLine["level"][];

export function parseRunSearch(search: Record<string, unknown>): RunSearch {
  const { line, level, q, context, records, stream } = search;
  const text = typeof q === "number" ? String(q) : q; // the router reads `q=5` as a number
  return {
    ...(Number.isSafeInteger(line) && Number(line) > 0 ? { line: Number(line) } : {}),
    ...(LEVELS.includes(level) ? { level: level as LogLine["level"] } : {}),
    ...(typeof text === "string" && text !== "" ? { q: text.slice(0, MAX_TEXT) } : {}),
    ...(context === true ? { context } : {}),
    ...(records === true ? { records } : {}),
    ...(typeof stream === "string" ? { stream } : {}),
  };
}

const MAX_TEXT = 200; // characters that the API searches for
