import { isRunStatus } from "@/api/run-status";
import { TRIGGER_WORDS } from "@/api/status-words";
import type { LogLine, RunStatus, RunTrigger } from "@/api/types";
import { parseDays, type Days } from "@/format/days";
import { isId } from "@/format/id";
import { parseOrder, parseText } from "@/format/parameter";

const MAX_SEARCH_LENGTH = 120; // the longest text that the API accepts

/** The filter and the order in the URL of the list of runs. */
export interface RunFilter extends Days {
  /** Oldest first. Without it, the newest run is the first one. */
  order?: "created_at";
  q?: string;
  status?: RunStatus;
  pipeline?: string;
  trigger?: RunTrigger;
}

/** Returns the filter in the URL. Unknown parameters and wrong values are ignored. */
export function parseRunFilter(search: Record<string, unknown>): RunFilter {
  const { status, pipeline, trigger } = search;
  const q = parseText(search.q, MAX_SEARCH_LENGTH);
  return {
    ...(q && { q }),
    ...(isRunStatus(status) && { status }),
    ...(typeof pipeline === "string" && isId(pipeline) && { pipeline }),
    ...(isTrigger(trigger) && { trigger }),
    ...parseDays(search),
    ...parseOrder(search.order, ["created_at"]),
  };
}

function isTrigger(value: unknown): value is RunTrigger {
  return typeof value === "string" && Object.hasOwn(TRIGGER_WORDS, value);
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
