/** Returns a pattern for each group of at least two files that differ only in the digits of their names. */
export function suggestPatterns(names: string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) {
    const pattern = name.replace(/\d+([-_.]\d+)*/g, "*");
    if (pattern.includes("*")) counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count > 1).map(([pattern]) => pattern);
}
