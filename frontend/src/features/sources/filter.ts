export interface SourceFilter {
  q?: string;
  archived?: boolean;
}

/** What the address bar says; anything else in it is ignored. */
export function parseSourceFilter(search: Record<string, unknown>): SourceFilter {
  const { q, archived } = search;
  return {
    ...(typeof q === "string" && q ? { q } : {}),
    ...(archived === true ? { archived } : {}),
  };
}
