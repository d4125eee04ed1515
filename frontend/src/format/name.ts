const ABBREVIATIONS = new Set([
  "api",
  "csv",
  "gb",
  "http",
  "id",
  "ip",
  "json",
  "kb",
  "mb",
  "sql",
  "ssl",
  "tls",
  "uri",
  "url",
  "utf",
]);

/** Words with a spelling of their own. */
const SPELLED: Record<string, string> = { oauth: "OAuth", oauth2: "OAuth 2" };

/** Formats a field's name: `base_url` as `Base URL`, `pageSize` as `Page size`. */
export function nameInWords(name: string): string {
  const words = name
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .trim()
    .toLowerCase()
    .split(" ");
  const text = words
    .map((word) => (ABBREVIATIONS.has(word) ? word.toUpperCase() : (SPELLED[word] ?? word)))
    .join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
