import { parseText } from "@/format/parameter";

const MAX_SEARCH_LENGTH = 200; // the longest text that the API accepts

export interface SourceFilter {
  q?: string;
  archived?: boolean;
}

/** Returns the filter in the URL. Other parameters are ignored. */
export function parseSourceFilter(search: Record<string, unknown>): SourceFilter {
  const q = parseText(search.q, MAX_SEARCH_LENGTH);
  return { ...(q ? { q } : {}), ...(search.archived === true ? { archived: true } : {}) };
}
