import type { ApiKey } from "@/api/types";
import { csvText } from "@/format/csv";
import { isFound, MAX_SEARCH_LENGTH, parseText, parseTextFilter, type TextFilter } from "@/format/parameter";
import { isPlaceholder } from "@/format/service-account";

/** The filter in the URL of the list of API keys. Without `revoked`, the keys that are not revoked are listed. */
export interface KeyFilter extends TextFilter {
  revoked?: true;
  /** The search of the service accounts below the keys. */
  account?: string;
}

/** Returns the filter in the URL. Other parameters and values are ignored. */
export function parseKeyFilter({ q, revoked, account }: Record<string, unknown>): KeyFilter {
  const name = parseText(account, MAX_SEARCH_LENGTH);
  return {
    ...parseTextFilter({ q }),
    ...((revoked === true || revoked === "true") && { revoked: true }),
    ...(name && { account: name }),
  };
}

/** The keys whose name, prefix or owner has the text. */
export function keysMatching(keys: ApiKey[], text = ""): ApiKey[] {
  const wanted = text.trim().replace(/^drv_/i, "");
  return keys.filter(({ name, prefix, created_by }) => isFound(wanted, name, prefix, created_by.email));
}

const DAY = 86_400_000; // milliseconds
const EXPIRES_SOON = 7 * DAY;
const UNUSED = 90 * DAY;

export type KeyState = "expired" | "expiring" | "unused" | "ok";

/** What the owner of a key should know. A new key is not unused. */
export function keyState({ expires_at, last_used_at, created_at }: ApiKey, now: number): KeyState {
  const left = expires_at === null ? Infinity : Date.parse(expires_at) - now;
  if (left <= 0) return "expired";
  if (left <= EXPIRES_SOON) return "expiring";
  return now - Date.parse(last_used_at ?? created_at) > UNUSED ? "unused" : "ok";
}

/** What happens next, or what to do. */
export const STATE_WORDS: Record<KeyState, string> = {
  expired: "Requests with it are refused (401). Create another key, or revoke this one.",
  expiring: "Then requests with it are refused (401). Rotate it before.",
  unused: "Not used for 90 days. Revoke it if nothing needs it.",
  ok: "",
};

/** The list without the keys themselves, which nobody can read again. */
export function keysAsCsv(keys: ApiKey[]): string {
  const rows = keys.map((key) => [
    key.name,
    `drv_${key.prefix}`,
    key.role,
    key.scopes.join(" "),
    isOfService(key) ? "" : key.created_by.email,
    key.created_at,
    key.last_used_at,
    key.expires_at,
    key.revoked_at,
  ]);
  const header = [
    "name",
    "prefix",
    "role",
    "scopes",
    "created_by",
    "created",
    "last_used",
    "expires",
    "revoked",
  ];
  return csvText([header, ...rows]);
}

/** Whether the key belongs to a service account. */
export function isOfService({ created_by }: ApiKey): boolean {
  return isPlaceholder(created_by.email);
}
