/** Returns a text parameter of the URL, cut at `maxLength` characters, or null. The router parses `q=2024` as a number. */
export function parseText(value: unknown, maxLength: number): string | null {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return null;
  return value.replaceAll("\0", "").slice(0, maxLength) || null; // the server refuses NUL
}

/** The search of a list in the URL. */
export interface TextFilter {
  q?: string;
}

export const MAX_SEARCH_LENGTH = 120; // the longest text that the API accepts

/** Returns the search in the URL. Other parameters are ignored. */
export function parseTextFilter({ q }: Record<string, unknown>): TextFilter {
  const text = parseText(q, MAX_SEARCH_LENGTH);
  return text ? { q: text } : {};
}

/** Returns the order in the URL if the list has it. */
export function parseOrder<Order extends string>(
  value: unknown,
  orders: readonly Order[],
): { order?: Order } {
  const order = orders.find((each) => each === value);
  return order ? { order } : {};
}

/** Whether one of the texts contains the text of a search, in upper or lower case. */
export function isFound(text: string | undefined, ...texts: string[]): boolean {
  const wanted = (text ?? "").trim().toLowerCase();
  return texts.some((each) => each.toLowerCase().includes(wanted));
}

/**
 * Whether the user is still typing this value of the URL. Such a change replaces the entry of the history, so that Back
 * undoes the whole value. Setting the value first, or removing it, is a step of its own.
 */
export function isStillTyped(before: string | undefined, after: string): boolean {
  return Boolean(before) && after !== "";
}
