import { isRunStatus } from "@/api/run-status";
import type { RunStatus } from "@/api/types";
import { parseTextFilter, type TextFilter } from "@/format/parameter";

export const WHOLE_DAY = 24;
const HOURS = [WHOLE_DAY, 6, 1];

/** The part of the timeline in the URL. Without `hours`, `from` and `to` it is the last 24 hours. */
export interface OverviewFilter extends TextFilter {
  status?: RunStatus;
  /** The last hours. */
  hours?: number;
  /** A part between two times, such as 2026-03-01T06:00:00.000Z. */
  from?: string;
  to?: string;
}

/** Returns the filter in the URL. Unknown parameters and wrong values are ignored. */
export function parseOverviewFilter(search: Record<string, unknown>): OverviewFilter {
  const filter: OverviewFilter = parseTextFilter(search);
  if (isRunStatus(search.status)) filter.status = search.status;
  const [from, to] = [search.from, search.to].map(parseTime);
  if (from && to && from < to) return { ...filter, from, to };
  if (HOURS.includes(Number(search.hours)) && Number(search.hours) !== WHOLE_DAY)
    filter.hours = Number(search.hours);
  return filter;
}

function parseTime(value: unknown): string | null {
  const time = typeof value === "string" ? new Date(value) : null;
  return time === null || Number.isNaN(time.getTime()) ? null : time.toISOString();
}
