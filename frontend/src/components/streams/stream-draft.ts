/** A stream that is chosen in the table of streams, and how to read and write it. */
import { hasRules, type FieldRules } from "@/format/fields";
import type { Contract } from "@/format/modes";

export type WriteMode = "replace" | "append" | "merge";
export type SyncMode = "full_refresh" | "incremental";

/** A stream to copy, and how to read and write it. */
export interface StreamDraft {
  stream: string;
  syncMode: SyncMode;
  cursorField: string | null;
  primaryKey: string[];
  /** Empty if the naming rule of the pipeline makes it. */
  table: string;
  writeMode: WriteMode;
  contract?: Contract;
  fields?: FieldRules;
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

/** Returns the stream as the API accepts it in a definition. */
export function streamConfig(stream: StreamDraft) {
  return {
    stream: stream.stream,
    table: stream.table.trim() || null,
    sync_mode: stream.syncMode,
    cursor_field: stream.cursorField,
    primary_key: stream.primaryKey,
    write_mode: stream.writeMode,
    ...(stream.contract && stream.contract !== "evolve" && { contract: stream.contract }),
    ...(stream.fields && hasRules(stream.fields) && { fields: stream.fields }),
  };
}
