/** The choice of the streams of a new pipeline, and their settings. */
import type { StreamInfo } from "@/api/types";
import { messagesBelow } from "@/api/problem";
import { messageOfRule } from "@/format/fields";
import { countWithNoun } from "@/format/number";
import { tableName, withValidWriteMode, type StreamDraft, type SyncMode } from "./stream-draft";

/** Messages by field, such as `table`. The field is empty if the message is about the whole stream. */
export type FieldErrors = Record<string, string>;

const MAX_FIELD_NAMES = 500;
const MAX_NAMES = 5; // in a summary
// A schema and a name, each plain or in quotation marks.
const SCHEMA = /^([^./"]+|"(?:[^"]|"")*")\.([^."]+|"(?:[^"]|"")*")$/;

/** Returns `sales` for the stream `sales.orders`, or an empty text. */
export function schemaOf(stream: string): string {
  return SCHEMA.exec(stream)?.[1] ?? "";
}

/** Returns the schemas with their number of streams, or nothing if they do not divide the streams into groups. */
export function schemasOf(streams: StreamInfo[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { name } of streams) counts.set(schemaOf(name), (counts.get(schemaOf(name)) ?? 0) + 1);
  const isGrouped = counts.size > 1 && counts.size < streams.length;
  return isGrouped ? [...counts].sort(([one], [other]) => one.localeCompare(other)) : [];
}

/** The possible cursor columns of all streams, those of most streams first. */
export function cursorFieldsOf(streams: StreamInfo[]): string[] {
  return byFrequency(streams.flatMap(({ cursor_fields }) => cursor_fields));
}

/** The names of fields that most streams have, as suggestions. */
export function fieldNamesOf(streams: StreamInfo[]): string[] {
  const names = streams.flatMap(({ fields }) => fields.map(({ name }) => name));
  return byFrequency(names).slice(0, MAX_FIELD_NAMES);
}

function byFrequency(names: string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one).map(([name]) => name);
}

/** Adds the streams that are not chosen yet. Each gets a table that no other stream has, or that of the naming rule. */
export function addStreams(chosen: StreamDraft[], added: StreamInfo[], naming = ""): StreamDraft[] {
  const names = new Set(chosen.map(({ stream }) => stream));
  const tables = new Set(chosen.map(({ table }) => table.toLowerCase()));
  const fresh = added.filter(({ name }) => !names.has(name));
  return [...chosen, ...fresh.map((info) => newStream(info, tables, naming))];
}

export function removeStreams(chosen: StreamDraft[], removed: StreamInfo[]): StreamDraft[] {
  const names = new Set(removed.map(({ name }) => name));
  return chosen.filter(({ stream }) => !names.has(stream));
}

/** Returns the stream with its default settings, and adds its table to `tables`. */
function newStream(info: StreamInfo, tables: Set<string>, naming: string): StreamDraft {
  const table = naming ? "" : unusedTable(tableName(info.name), tables);
  tables.add(table);
  const isFullRefreshPossible = info.sync_modes.includes("full_refresh");
  const stream: StreamDraft = {
    stream: info.name,
    syncMode: "full_refresh",
    cursorField: null,
    primaryKey: info.primary_key,
    table,
    writeMode: "replace",
  };
  return isFullRefreshPossible ? stream : withSyncMode(stream, info, "incremental");
}

function unusedTable(name: string, tables: ReadonlySet<string>): string {
  let table = name;
  for (let number = 2; tables.has(table); number += 1) table = `${name}_${number}`;
  return table;
}

/** Returns the stream with this sync mode, if the source supports it, and with a cursor and a write mode that fit. */
export function withSyncMode(stream: StreamDraft, info: StreamInfo, syncMode: SyncMode): StreamDraft {
  if (stream.syncMode === syncMode || !info.sync_modes.includes(syncMode)) return stream;
  const cursorField = syncMode === "incremental" ? (info.cursor_fields[0] ?? null) : null;
  // The best mode for the new sync mode, because the user has seen only the modes of the old one.
  return withValidWriteMode({ ...stream, syncMode, cursorField, writeMode: "replace" });
}

/** Returns the name of an only stream, or `3 streams: a, b, c`. */
export function streamsInWords(streams: StreamDraft[]): string {
  const names = streams.map(({ stream }) => stream);
  if (names.length <= 1) return names.join("");
  const shown = names.slice(0, MAX_NAMES).join(", ");
  return `${countWithNoun(names.length, "stream")}: ${shown}${names.length > MAX_NAMES ? " and more" : ""}`;
}

/** Returns what prevents the streams from being saved, by stream. */
export function problemsOf(streams: StreamDraft[]): Record<string, FieldErrors> {
  const uses = new Map<string, number>();
  const keyOf = ({ table }: StreamDraft) => table.trim().toLowerCase();
  for (const stream of streams) uses.set(keyOf(stream), (uses.get(keyOf(stream)) ?? 0) + 1);
  const problems: Record<string, FieldErrors> = {};
  for (const stream of streams) {
    if (keyOf(stream) === "") problems[stream.stream] = { table: "This field is required." };
    else if (uses.get(keyOf(stream))! > 1) {
      problems[stream.stream] = { table: "Another stream of this pipeline has this table." };
    }
  }
  return problems;
}

/** Returns the server's messages about `streams.N` by the name of the stream, and then by field. */
export function errorsByStream(
  errors: Record<string, string>,
  submitted: StreamDraft[],
): Record<string, FieldErrors> {
  const byStream: Record<string, FieldErrors> = {};
  for (const [path, message] of Object.entries(messagesBelow(errors, "streams"))) {
    const [number = "", field = ""] = path.split(".");
    const stream = submitted[Number(number)]?.stream;
    if (stream !== undefined)
      byStream[stream] = { [field]: messageOfRule(`.${path}`, message), ...byStream[stream] };
  }
  return byStream;
}
