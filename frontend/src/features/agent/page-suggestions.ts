import pages from "./page-suggestions.json";

const GENERAL = [
  "List pipelines",
  "Create a pipeline from Airports file to DuckDB database every day at 6:00",
  "Why did the last run fail?",
];

/** Requests about the page with this path, which guided mode understands too. Null if there are none for this page. */
export function ownSuggestions(path: string): string[] | null {
  return pages.find(({ page }) => new RegExp(`^${page}$`).test(path))?.suggestions ?? null;
}

/** Requests to try in a new conversation on this page. */
export function suggestionsFor(path: string): string[] {
  return ownSuggestions(path) ?? GENERAL;
}
