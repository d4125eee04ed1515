import { transformsOf } from "@/api/definition";
import type { ConnectorRow } from "@/api/types";
import { STRICT_LIMITS, streamLimits, type Limits } from "@/format/limits";
import type { Schedule } from "@/format/schedule";

export type WriteMode = "replace" | "append" | "merge";
export type SyncMode = "full_refresh" | "incremental";

/** The source or the destination of the pipeline: a saved connector. */
export interface Endpoint {
  connectorId: string;
  kind: string;
  /** The name that the pages show. */
  label: string;
}

export function endpointOf({ id, kind, name }: Pick<ConnectorRow, "id" | "kind" | "name">): Endpoint {
  return { connectorId: id, kind, label: name };
}

export interface Draft {
  source: Endpoint | null;
  stream: string;
  syncMode: SyncMode;
  cursorField: string | null;
  primaryKey: string[];
  destination: Endpoint | null;
  table: string;
  writeMode: WriteMode;
  limits: Limits;
  /** Python code that changes each record; empty if there is no transform. */
  transform: string;
  schedule: Schedule | null;
  name: string;
  tags: string[];
}

export const EMPTY_DRAFT: Draft = {
  source: null,
  stream: "",
  syncMode: "full_refresh",
  cursorField: null,
  primaryKey: [],
  destination: null,
  table: "",
  writeMode: "replace",
  limits: STRICT_LIMITS,
  transform: "",
  schedule: null,
  name: "",
  tags: [],
};

/** Returns the definition that the API accepts as `config`. */
export function definitionOf(draft: Draft) {
  return {
    source: { connector_id: draft.source!.connectorId },
    streams: [
      {
        stream: draft.stream,
        table: draft.table,
        sync_mode: draft.syncMode,
        cursor_field: draft.cursorField,
        primary_key: draft.primaryKey,
        write_mode: draft.writeMode,
        transforms: transformsOf(draft.transform),
        ...streamLimits(draft.limits),
      },
    ],
    destination: { connector_id: draft.destination!.connectorId },
  };
}

/**
 * Returns a table name that every destination accepts: `budget_2026_a1` for `Budget 2026!A1`, and `sales_orders` for
 * `sales.orders`. The schema `public` is left out.
 */
export function tableName(stream: string): string {
  const words = stream
    .replace(/^public\.(?=[^.]+$)/, "")
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "_");
  return (
    words
      .replace(/^_+|_+$/g, "")
      .replace(/^(\d)/, "_$1")
      .slice(0, 60) || "records"
  );
}

/** Returns the write modes that the sync mode and the primary key allow. */
export function writeModes(syncMode: SyncMode, primaryKey: string[]): WriteMode[] {
  if (syncMode === "full_refresh") return ["replace", "append"];
  return primaryKey.length > 0 ? ["merge", "append"] : ["append"];
}
