import { parseText } from "@/format/parameter";

const MAX_SEARCH_LENGTH = 120; // the longest text that the API accepts

export interface FileFilter {
  q?: string;
}

/** Returns the filter in the URL. Other parameters are ignored. */
export function parseFileFilter(search: Record<string, unknown>): FileFilter {
  const q = parseText(search.q, MAX_SEARCH_LENGTH);
  return q ? { q } : {};
}
