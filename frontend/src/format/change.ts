import { dayInWords, windowInWords, type BlackoutWindow } from "./blackouts";
import { formatDuration } from "./duration";
import { ruleInWords, TREATMENTS, type FieldRule } from "./fields";
import { percentOf } from "./limits";
import {
  CONTRACTS,
  type Contract,
  ON_STREAM_FAILURE,
  type OnStreamFailure,
  SNAPSHOT_RETRIES,
  SNAPSHOT_SCOPES,
  SYNC_MODES,
  WRITE_MODES,
} from "./modes";
import { NEW_STREAMS, type NewStreams } from "./patterns";

/** The fields of a pipeline. Fields of a stream are without the stream's number. */
const LABELS: Record<string, string> = {
  name: "Name",
  description: "Description",
  tags: "Tags",
  domain: "Domain",
  enabled: "Enabled",
  timeout_seconds: "Time limit of a run",
  max_attempts: "Attempts of a run",
  schedule: "Schedule",
  "schedule.overlap": "If the run before is not finished",
  "schedule.timezone": "Time zone of the schedule",
  "schedule.misfire": "After missed times",
  "schedule.blackouts": "Blackouts",
  "schedule.end_date": "Last day with runs",
  "schedule.jitter_seconds": "Random delay of the schedule",
  "schedule.paused": "Schedule is paused",
  "schedule.paused_note": "Note of the pause",
  run_after: "Runs after",
  run_after_mode: "Of the pipelines before it, wait for",
  run_after_window_seconds: "Oldest success that counts, in seconds",
  file_watch: "Starts when new files arrive",
  file_watch_minutes: "Minutes between looks for files",
  present_files_are_new: "Files that are there start a run",
  "source.kind": "Kind of the source",
  "destination.kind": "Kind of the destination",
  "source.connector_id": "Connector of the source",
  "destination.connector_id": "Connector of the destination",
  on_stream_failure: "If a stream fails",
  "snapshot.scope": "Snapshots",
  "snapshot.retry": "Streams that another attempt reads",
  "streams.added": "Streams that it reads from now on too",
  "streams.removed": "Streams that it does not read any more",
  stream: "Stream",
  table: "Table",
  sync_mode: "Sync mode",
  cursor_field: "Cursor column",
  primary_key: "Primary key",
  write_mode: "Write mode",
  allow_empty: "An empty result may replace rows",
  max_rejected_share: "Rejected records allowed",
  contract: "New and changed columns",
  fields: "Fields",
  "fields.others": "Other fields",
  "fields.rules": "Rules for fields",
  transforms: "Transforms",
  "patterns.match": "Patterns",
  "patterns.contract": "New and changed columns of the patterns' streams",
  "patterns.fields": "Fields of the patterns' streams",
  "patterns.fields.others": "Other fields of the patterns' streams",
  "patterns.fields.rules": "Rules for fields of the patterns' streams",
  "patterns.transforms": "Transforms of the patterns' streams",
  "patterns.code": "Transform of the patterns' streams",
  "patterns.sync_mode": "Sync mode of the patterns",
  "patterns.cursor_field": "Cursor column of the patterns",
  "patterns.write_mode": "Write mode of the patterns",
  "patterns.allow_empty": "An empty result of the patterns' streams may replace rows",
  "patterns.max_rejected_share": "Rejected records allowed in the patterns' streams",
  naming: "Destination tables",
  new_streams: "New streams",
};

/**
 * The name of a changed field, such as "Write mode" for `streams.0.write_mode`, and the name of the stream if it is known.
 * Unknown fields are returned unchanged.
 */
export function fieldInWords(field: string, stream?: string): string {
  const setting = withoutStream(field);
  const label = LABELS[setting];
  if (stream) return `${label ?? setting} of ${stream}`;
  if (label === undefined) return field;
  const number = Number(STREAM_FIELD.exec(field)?.[1] ?? 0);
  return number === 0 ? label : `${label} of stream ${number + 1}`;
}

/** The value of a changed field as text, or unchanged if there are no words for it. */
export function valueInWords(field: string, value: unknown): unknown {
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (field === "timeout_seconds" && typeof value === "number") return formatDuration(value);
  if (settingOf(field) === "max_rejected_share" && typeof value === "number") return `${percentOf(value)}%`;
  if (settingOf(field) === "transforms") return codeOf(value);
  if (settingOf(field) === "fields.rules" && Array.isArray(value))
    return value.map((rule) => ruleInWords(rule as FieldRule)).join("\n");
  if (field === "schedule.blackouts" && Array.isArray(value))
    return value.map((window) => windowInWords(window as BlackoutWindow)).join("\n");
  if (field === "schedule.end_date" && typeof value === "string") return dayInWords(value);
  if (LISTS.includes(field) && Array.isArray(value)) return value.join("\n");
  if (typeof value !== "string") return value;
  if (field === "new_streams") return NEW_STREAMS[value as NewStreams] ?? value;
  if (settingOf(field) === "fields.others") return TREATMENTS[value as "keep" | "drop"] ?? value;
  if (settingOf(field) === "sync_mode") return SYNC_MODES[value] ?? value;
  if (field === "on_stream_failure") return ON_STREAM_FAILURE[value as OnStreamFailure] ?? value;
  if (field === "snapshot.scope") return SNAPSHOT_SCOPES[value] ?? value;
  if (field === "snapshot.retry") return SNAPSHOT_RETRIES[value] ?? value;
  if (settingOf(field) === "write_mode") return WRITE_MODES[value] ?? value;
  if (settingOf(field) === "contract") return CONTRACTS[value as Contract] ?? value;
  return value;
}

const LISTS = ["patterns.match", "streams.added", "streams.removed"];

/** The code of a stream's transform, or null if it has none. */
function codeOf(transforms: unknown): unknown {
  if (!Array.isArray(transforms)) return transforms;
  const [transform] = transforms as { code?: unknown }[];
  return transform ? (transform.code ?? transform) : null;
}

const STREAM_FIELD = /^streams\.(\d+)\./;

function withoutStream(field: string): string {
  return field.replace(STREAM_FIELD, "");
}

/** The field of a stream, or of the patterns, which have the same settings. */
function settingOf(field: string): string {
  return withoutStream(field).replace(/^patterns\./, "");
}
