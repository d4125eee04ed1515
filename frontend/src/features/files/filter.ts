import { parseOrder, parseTextFilter, type TextFilter } from "@/format/parameter";

const ORDERS = ["name", "size"] as const;
export type FileOrder = (typeof ORDERS)[number];

/** The search and the order in the URL of the list of files. */
export interface FileFilter extends TextFilter {
  order?: FileOrder;
}

export function parseFileFilter(search: Record<string, unknown>): FileFilter {
  return { ...parseTextFilter(search), ...parseOrder(search.order, ORDERS) };
}
