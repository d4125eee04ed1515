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

/** Formats a field's name: `base_url` as `Base URL`, `pageSize` as `Page size`. */
export function nameInWords(name: string): string {
  const words = name
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .trim()
    .toLowerCase()
    .split(" ");
  const text = words.map((word) => (ABBREVIATIONS.has(word) ? word.toUpperCase() : word)).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
