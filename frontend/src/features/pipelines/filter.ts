import { isRunStatus } from "@/api/run-status";
import type { Freshness, RunStatus } from "@/api/types";
import { parseText } from "@/format/parameter";

// The longest texts that the API accepts.
const MAX_SEARCH_LENGTH = 120;
const MAX_TAG_LENGTH = 200;
const FRESHNESS: readonly unknown[] = ["failing", "late", "fresh", "none"] satisfies Freshness[];

/** The filter in the URL of the list of pipelines. */
export interface PipelineFilter {
  q?: string;
  status?: RunStatus;
  freshness?: Freshness;
  tag?: string;
}

/** Returns the stream in the URL whose records are shown; none for the first one. */
export function parseDataSearch({ stream }: Record<string, unknown>): { stream?: string } {
  return typeof stream === "string" ? { stream } : {};
}

/** Returns the filter in the URL. Unknown parameters and wrong values are ignored. */
export function parsePipelineFilter(search: Record<string, unknown>): PipelineFilter {
  const filter: PipelineFilter = {};
  const q = parseText(search.q, MAX_SEARCH_LENGTH);
  const tag = parseText(search.tag, MAX_TAG_LENGTH);
  if (q) filter.q = q;
  if (tag) filter.tag = tag;
  if (isRunStatus(search.status)) filter.status = search.status;
  if (isFreshness(search.freshness)) filter.freshness = search.freshness;
  return filter;
}

function isFreshness(value: unknown): value is Freshness {
  return FRESHNESS.includes(value);
}
