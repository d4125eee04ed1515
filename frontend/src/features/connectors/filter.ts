import type { ConnectorRow } from "@/api/types";
import { csvText } from "@/format/csv";
import { parseOrder } from "@/format/parameter";

export type Role = ConnectorRow["role"];

const ORDERS = ["name", "kind", "tested", "updated"] as const;
export type ConnectorOrder = (typeof ORDERS)[number];

/** The filter and the order in the URL of the list of connectors. */
export interface ConnectorFilter {
  q?: string;
  role?: Role;
  order?: ConnectorOrder;
}

/** Returns the filter in the URL. Other parameters and values are ignored. The router parses `q=2024` as a number. */
export function parseConnectorFilter({ q, role, order }: Record<string, unknown>): ConnectorFilter {
  const text = typeof q === "string" || typeof q === "number" ? String(q).slice(0, 120) : "";
  return { ...(text && { q: text }), ...(isRole(role) && { role }), ...parseOrder(order, ORDERS) };
}

export function parseNewConnector({ role }: Record<string, unknown>): { role?: Role } {
  return isRole(role) ? { role } : {};
}

export function isRole(value: unknown): value is Role {
  return value === "source" || value === "destination";
}

/** The list without settings. */
export function connectorsAsCsv(connectors: ConnectorRow[]): string {
  const rows = connectors.map((row) => [
    row.name,
    row.role,
    row.kind,
    row.domain?.name ?? "",
    String(row.pipeline_count),
    row.check_ok === null ? "" : row.check_ok ? "passed" : "failed",
    row.checked_at,
    row.updated_at,
  ]);
  const header = ["name", "role", "kind", "domain", "pipelines", "last_test", "tested", "updated"];
  return csvText([header, ...rows]);
}

interface ConnectorSearch {
  /** The path of the setting that is to be changed, such as `auth.token`. */
  field?: string;
}

export function parseConnectorSearch({ field }: Record<string, unknown>): ConnectorSearch {
  return typeof field === "string" && field !== "" ? { field } : {};
}
