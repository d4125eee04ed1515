/** Returns the stream in the URL whose records are shown; none for the first one. */
export function parseDataSearch({ stream }: Record<string, unknown>): { stream?: string } {
  return typeof stream === "string" ? { stream } : {};
}
