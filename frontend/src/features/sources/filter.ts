import { parseOrder, parseText } from "@/format/parameter";

const MAX_SEARCH_LENGTH = 200; // the longest text that the API accepts

const ORDERS = ["name", "updated"] as const;
export type SourceOrder = (typeof ORDERS)[number];

export interface SourceFilter {
  q?: string;
  archived?: boolean;
  order?: SourceOrder;
}

/** Returns the filter and the order in the URL. Other parameters are ignored. */
export function parseSourceFilter(search: Record<string, unknown>): SourceFilter {
  const q = parseText(search.q, MAX_SEARCH_LENGTH);
  return {
    ...(q ? { q } : {}),
    ...(search.archived === true ? { archived: true } : {}),
    ...parseOrder(search.order, ORDERS),
  };
}
