export interface FileFilter {
  q?: string;
}

/** Returns the filter in the URL. Other parameters are ignored. */
export function parseFileFilter({ q }: Record<string, unknown>): FileFilter {
  return typeof q === "string" && q ? { q } : {};
}
