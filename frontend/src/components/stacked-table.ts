/**
 * Classes of a table whose rows become blocks on a phone: the first cell fills a line, and the others stand side by side below
 * it. The headers are then for screen readers only.
 */
export const STACKED_TABLE =
  "max-sm:block max-sm:[&_tbody]:block max-sm:[&_td]:border-0! max-sm:[&_td]:px-0! max-sm:[&_thead]:sr-only";
export const STACKED_ROW =
  "max-sm:flex max-sm:flex-wrap max-sm:items-center max-sm:justify-between max-sm:border-t max-sm:border-line max-sm:py-1.5";
