import { transformsOf } from "@/api/definition";
import type { ConnectorRow } from "@/api/types";
import { patternConfig, type PatternValues } from "@/format/patterns";
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

/** A stream to copy, and how to read and write it. */
export interface StreamDraft {
  stream: string;
  syncMode: SyncMode;
  cursorField: string | null;
  primaryKey: string[];
  table: string;
  writeMode: WriteMode;
}

export interface Draft {
  source: Endpoint | null;
  streams: StreamDraft[];
  /** Patterns that choose the streams at each run, instead of the list; null if the list is used. */
  patterns: PatternValues | null;
  destination: Endpoint | null;
  /** The limits of every stream. */
  limits: Limits;
  /** Python code that changes each record of the only stream; empty if there is no transform. */
  transform: string;
  schedule: Schedule | null;
  name: string;
  tags: string[];
}

export const EMPTY_DRAFT: Draft = {
  source: null,
  streams: [],
  patterns: null,
  destination: null,
  limits: STRICT_LIMITS,
  transform: "",
  schedule: null,
  name: "",
  tags: [],
};

/** Returns the definition that the API accepts as `config`. Only a pipeline with one stream has the transform. */
export function definitionOf(draft: Draft) {
  const sides = {
    source: { connector_id: draft.source!.connectorId },
    destination: { connector_id: draft.destination!.connectorId },
  };
  if (draft.patterns) {
    return { ...sides, streams: [], ...patternConfig({ ...draft.patterns, limits: draft.limits }) };
  }
  const transforms = draft.streams.length === 1 ? transformsOf(draft.transform) : [];
  return {
    ...sides,
    streams: draft.streams.map((stream) => ({
      stream: stream.stream,
      table: stream.table.trim(),
      sync_mode: stream.syncMode,
      cursor_field: stream.cursorField,
      primary_key: stream.primaryKey,
      write_mode: stream.writeMode,
      transforms,
      ...streamLimits(draft.limits),
    })),
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

/** Returns the stream with a write mode that its sync mode, its primary key and the destination allow. */
export function withValidWriteMode(stream: StreamDraft, supported?: readonly string[]): StreamDraft {
  const modes = writeModes(stream.syncMode, stream.primaryKey).filter(
    (mode) => supported?.includes(mode) ?? true,
  );
  return modes.includes(stream.writeMode) ? stream : { ...stream, writeMode: modes[0] ?? stream.writeMode };
}
