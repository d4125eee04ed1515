import type { AlertDelivery } from "@/api/types";
import { isId } from "@/format/id";
import { parseTextFilter, type TextFilter } from "@/format/parameter";

/** The object whose form is open: its id, or "new". */
type Opened = string;

/** What the address of the list of rules says. */
export interface RuleSearch extends TextFilter {
  edit?: Opened;
  /** The pipeline that the new rule is for. */
  pipeline?: string;
}

export function parseRuleSearch(search: Record<string, unknown>): RuleSearch {
  return { ...parseTextFilter(search), ...parseOpened(search.edit), ...parseId("pipeline", search) };
}

/** What the address of the list of channels says. */
export interface ChannelSearch extends TextFilter {
  edit?: Opened;
}

export function parseChannelSearch(search: Record<string, unknown>): ChannelSearch {
  return { ...parseTextFilter(search), ...parseOpened(search.edit) };
}

/** The filter of the log of deliveries. */
export interface DeliveryFilter {
  state?: AlertDelivery["state"];
  channel?: string;
  pipeline?: string;
}

/** What the address of the log of deliveries says. */
export interface DeliverySearch extends DeliveryFilter {
  /** The delivery that is shown in a dialog. */
  delivery?: string;
}

export const STATE_WORDS: Record<AlertDelivery["state"], string> = {
  pending: "Pending",
  sent: "Sent",
  failed: "Failed",
  snoozed: "Snoozed",
  skipped: "Skipped",
};

export function parseDeliverySearch(search: Record<string, unknown>): DeliverySearch {
  const { state } = search;
  return {
    ...(isState(state) && { state }),
    ...parseId("channel", search),
    ...parseId("pipeline", search),
    ...parseId("delivery", search),
  };
}

function isState(value: unknown): value is AlertDelivery["state"] {
  return typeof value === "string" && Object.hasOwn(STATE_WORDS, value);
}

function parseOpened(value: unknown): { edit?: Opened } {
  return typeof value === "string" && (value === "new" || isId(value)) ? { edit: value } : {};
}

function parseId<Name extends string>(
  name: Name,
  search: Record<string, unknown>,
): { [Key in Name]?: string } {
  const value = search[name];
  return (typeof value === "string" && isId(value) ? { [name]: value } : {}) as { [Key in Name]?: string };
}
