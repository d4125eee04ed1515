import { isRunStatus } from "@/api/run-status";
import type { Freshness, RunStatus } from "@/api/types";
import { isId } from "@/format/id";
import { parseText } from "@/format/parameter";

// The longest texts that the API accepts.
const MAX_SEARCH_LENGTH = 120;
const MAX_TAG_LENGTH = 200;
const MAX_KIND_LENGTH = 60;

const ORDERS = ["newest", "oldest", "name", "updated", "next_run", "last_run", "duration"] as const;
const GROUPS = ["domain", "source", "destination", "tag"] as const;
const FRESHNESS = ["failing", "late", "fresh", "none"] as const;

export type Order = (typeof ORDERS)[number];
export type Grouping = (typeof GROUPS)[number];

/** What the API filters the list by. */
export interface PipelineFilter {
  q?: string;
  status?: RunStatus;
  freshness?: Freshness;
  domain?: string;
  source?: string;
  destination?: string;
  tag?: string;
  enabled?: boolean;
}

/** What the URL of the list says: the filter, the order and the grouping. */
export interface PipelineSearch extends PipelineFilter {
  order?: Order;
  group?: Grouping;
}

function oneOf<T extends string>(values: readonly T[], value: unknown): T | null {
  return values.find((known) => known === value) ?? null;
}

/** Returns what the URL says. Unknown parameters and wrong values are ignored. */
export function parsePipelineSearch(search: Record<string, unknown>): PipelineSearch {
  const enabled = [true, false].find((value) => search.enabled === value || search.enabled === String(value));
  const parsed = {
    q: parseText(search.q, MAX_SEARCH_LENGTH),
    status: isRunStatus(search.status) ? search.status : null,
    freshness: oneOf(FRESHNESS, search.freshness),
    domain: typeof search.domain === "string" && isId(search.domain) ? search.domain : null,
    source: parseText(search.source, MAX_KIND_LENGTH),
    destination: parseText(search.destination, MAX_KIND_LENGTH),
    tag: parseText(search.tag, MAX_TAG_LENGTH),
    enabled,
    order: oneOf(ORDERS, search.order),
    group: oneOf(GROUPS, search.group),
  };
  return withoutEmptyValues(parsed);
}

/** Returns what the API filters by. */
export function filterOf(search: PipelineSearch): PipelineFilter {
  return withoutEmptyValues({ ...search, order: null, group: null });
}

export function withoutEmptyValues(values: Record<string, unknown>): PipelineSearch {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
}
