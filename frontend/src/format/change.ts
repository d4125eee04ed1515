import { formatDuration } from "./duration";
import { percentOf } from "./limits";
import { SYNC_MODES, WRITE_MODES } from "./modes";

/** The fields of a pipeline that the agent changes. Fields of its stream are without `streams.0`. */
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
  "schedule.paused": "Schedule is paused",
  "source.connector_id": "Connector of the source",
  "destination.connector_id": "Connector of the destination",
  stream: "Stream",
  table: "Table",
  sync_mode: "Sync mode",
  cursor_field: "Cursor field",
  primary_key: "Primary key",
  write_mode: "Write mode",
  allow_empty: "An empty result may replace rows",
  max_rejected_share: "Rejected records allowed",
  transforms: "Transforms",
};

/** The name of a changed field, such as "Write mode" for `streams.0.write_mode`. Others are returned unchanged. */
export function fieldInWords(field: string): string {
  return LABELS[withoutStream(field)] ?? field;
}

/** The value of a changed field as text, or unchanged if there are no words for it. */
export function valueInWords(field: string, value: unknown): unknown {
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (field === "timeout_seconds" && typeof value === "number") return formatDuration(value);
  if (withoutStream(field) === "max_rejected_share" && typeof value === "number")
    return `${percentOf(value)} %`;
  if (typeof value !== "string") return value;
  if (withoutStream(field) === "sync_mode") return SYNC_MODES[value] ?? value;
  if (withoutStream(field) === "write_mode") return WRITE_MODES[value] ?? value;
  return value;
}

function withoutStream(field: string): string {
  return field.replace(/^streams\.0\./, "");
}
