/** Returns a text parameter of the URL, cut at `maxLength` characters, or null. The router parses `q=2024` as a number. */
export function parseText(value: unknown, maxLength: number): string | null {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return null;
  return value.replaceAll("\0", "").slice(0, maxLength) || null; // the server refuses NUL
}

/** Whether a value of the URL is only typed further. Setting or removing it is a step in the history that Back undoes. */
export function isTypedFurther(before: string | undefined, after: string): boolean {
  return Boolean(before) && after !== "";
}
