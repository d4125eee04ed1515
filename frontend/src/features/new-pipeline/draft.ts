import { transformsOf } from "@/api/definition";
import type { Schedule } from "@/format/schedule";
import { pruned, type Config } from "@/components/schema-form/schema";

export type WriteMode = "replace" | "append" | "merge";
export type SyncMode = "full_refresh" | "incremental";

/** One end of the pipeline: a saved connector, or a kind with settings typed here. */
export interface End {
  connectorId: string | null;
  kind: string;
  config: Config;
  /** The name shown for it. */
  label: string;
}

export interface Draft {
  source: End | null;
  stream: string;
  syncMode: SyncMode;
  cursorField: string | null;
  primaryKey: string[];
  destination: End | null;
  table: string;
  writeMode: WriteMode;
  /** Python that changes each record; empty for none. */
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
  transform: "",
  schedule: null,
  name: "",
  tags: [],
};

/** The definition document, as the API takes it under `config`. */
export function definitionOf(draft: Draft) {
  return {
    source: endOf(draft.source!),
    streams: [
      {
        stream: draft.stream,
        table: draft.table,
        sync_mode: draft.syncMode,
        cursor_field: draft.cursorField,
        primary_key: draft.primaryKey,
        write_mode: draft.writeMode,
        transforms: transformsOf(draft.transform),
      },
    ],
    destination: endOf(draft.destination!),
  };
}

function endOf(end: End) {
  if (end.connectorId) return { connector_id: end.connectorId };
  return { connector_id: null, kind: end.kind, config: pruned(end.config) };
}

/** A table name that every destination takes: `Budget 2026!A1` becomes `budget_2026_a1`. */
export function tableName(stream: string): string {
  const plain = stream
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "_");
  return (
    plain
      .replace(/^_+|_+$/g, "")
      .replace(/^(\d)/, "_$1")
      .slice(0, 60) || "records"
  );
}

/** The ways to write that fit how the stream is read. */
export function writeModes(syncMode: SyncMode, primaryKey: string[]): WriteMode[] {
  if (syncMode === "full_refresh") return ["replace", "append"];
  return primaryKey.length > 0 ? ["merge", "append"] : ["append"];
}
