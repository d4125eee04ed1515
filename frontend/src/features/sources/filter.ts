export interface SourceFilter {
  q?: string;
  archived?: boolean;
}

/** Returns the filter in the URL. Other parameters are ignored. */
export function parseSourceFilter(search: Record<string, unknown>): SourceFilter {
  const { q, archived } = search;
  return {
    ...(typeof q === "string" && q ? { q } : {}),
    ...(archived === true ? { archived } : {}),
  };
}
