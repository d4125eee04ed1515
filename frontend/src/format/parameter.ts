/** Returns a text parameter of the URL, cut at `maxLength` characters, or null. The router parses `q=2024` as a number. */
export function parseText(value: unknown, maxLength: number): string | null {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" && value !== "" ? value.slice(0, maxLength) : null;
}
