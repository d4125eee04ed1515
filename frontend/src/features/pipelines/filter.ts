import { isRunStatus } from "@/api/run-status";
import type { RunStatus } from "@/api/types";

/** The filter that the address of the list can hold. Anything else in the address is ignored. */
export interface PipelineFilter {
  q?: string;
  status?: RunStatus;
  tag?: string;
}

export function parsePipelineFilter(search: Record<string, unknown>): PipelineFilter {
  const filter: PipelineFilter = {};
  const q = word(search.q);
  const tag = word(search.tag);
  if (q) filter.q = q;
  if (tag) filter.tag = tag;
  if (isRunStatus(search.status)) filter.status = search.status;
  return filter;
}

/** The router reads `q=2024` as a number. */
function word(value: unknown): string | null {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" && value !== "" ? value.slice(0, 200) : null;
}
