import { isRunStatus } from "@/api/run-status";
import type { RunStatus } from "@/api/types";

/** The filter in the URL of the list of pipelines. */
export interface PipelineFilter {
  q?: string;
  status?: RunStatus;
  tag?: string;
}

export function parsePipelineFilter(search: Record<string, unknown>): PipelineFilter {
  const filter: PipelineFilter = {};
  const q = parseText(search.q);
  const tag = parseText(search.tag);
  if (q) filter.q = q;
  if (tag) filter.tag = tag;
  if (isRunStatus(search.status)) filter.status = search.status;
  return filter;
}

/** Returns up to 200 characters of the parameter, or null. The router parses `q=2024` as a number. */
function parseText(value: unknown): string | null {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" && value !== "" ? value.slice(0, 200) : null;
}
