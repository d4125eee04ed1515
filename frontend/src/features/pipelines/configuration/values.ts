/** Converts a pipeline to the values of the form, and changed values to a request. */
import { transformsOf } from "@/format/transforms";
import { streamConfig, type StreamDraft } from "@/components/streams/stream-draft";
import type { Pipeline, PipelineChange } from "@/api/types";
import { mergePatch } from "@/components/schema-form/merge-patch";
import { withoutEmptyFields, type Config } from "@/components/schema-form/schema";
import { fieldInWords, valueInWords } from "@/format/change";
import { hasRules, messageOfRule, rulesInWords, rulesOf, type FieldRules } from "@/format/fields";
import { changedFields, type Values } from "@/format/merge";
import { patternConfig, patternValues, type PatternValues } from "@/format/patterns";

/** The source or the destination: a saved connector, or a kind with settings of this pipeline. */
export interface Side {
  connector_id: string | null;
  kind: string;
  config: Config | null;
  /** Only of a custom source; null means the latest approved version. */
  version?: number | null;
}

/** The names of the values with the changes of the list of streams; both are empty in what is saved. */
export const ADDED = "streams_added";
export const REMOVED = "streams_removed";

type Stream = Pipeline["config"]["streams"][number];

/** The fields of a stream as the form has them. Lists and code are texts, because that is what the user types. */
export interface StreamValues {
  table: string;
  sync_mode: Stream["sync_mode"];
  cursor_field: string;
  primary_key: string;
  write_mode: Stream["write_mode"];
  allow_empty: boolean;
  max_rejected_share: number;
  contract: NonNullable<Stream["contract"]>;
  fields: FieldRules;
  code: string;
}

type StreamField = keyof StreamValues;

const STREAM_FIELDS: StreamField[] = [
  "table",
  "sync_mode",
  "cursor_field",
  "primary_key",
  "write_mode",
  "allow_empty",
  "max_rejected_share",
  "contract",
  "fields",
  "code",
];

/** The name of a stream's field among the values. The name of the stream is last, because it may contain any character. */
export function streamKey(field: StreamField, stream: string): string {
  return `streams/${field}/${stream}`;
}

/** The fields whose changes make no version. */
export const UNVERSIONED = new Set([
  "name",
  "description",
  "domain_id",
  "tags",
  "timeout_minutes",
  "max_attempts",
]);

export function valuesOf(pipeline: Pipeline): Values {
  const { source, destination, streams, snapshot, on_stream_failure } = pipeline.config;
  return {
    name: pipeline.name,
    description: pipeline.description,
    domain_id: pipeline.domain?.id ?? null,
    tags: pipeline.tags.join(", "),
    timeout_minutes: String(pipeline.timeout_seconds / 60),
    max_attempts: String(pipeline.max_attempts),
    source,
    on_stream_failure: on_stream_failure ?? "continue",
    "snapshot.scope": snapshot?.scope ?? "auto",
    "snapshot.retry": snapshot?.retry ?? "remaining",
    ...Object.fromEntries(streams.flatMap(streamEntries)),
    destination,
    ...patternFields(patternValues(pipeline.config)),
    [ADDED]: [],
    [REMOVED]: [],
  };
}

/** The patterns as fields of the form, so that changes of two people are compared field by field. */
export function patternFields(values: PatternValues): Values {
  return {
    "patterns.match": values.match,
    "patterns.sync_mode": values.syncMode,
    "patterns.cursor_field": values.cursorField,
    "patterns.write_mode": values.writeMode,
    "patterns.allow_empty": values.limits.allowEmpty,
    "patterns.max_rejected_share": values.limits.maxRejectedShare,
    "patterns.contract": values.contract,
    "patterns.fields": values.fields,
    "patterns.code": values.code,
    naming: values.naming,
    new_streams: values.newStreams,
  };
}

export function patternsOf(values: Values): PatternValues {
  return {
    match: values["patterns.match"] as string,
    syncMode: values["patterns.sync_mode"] as PatternValues["syncMode"],
    cursorField: values["patterns.cursor_field"] as string,
    writeMode: values["patterns.write_mode"] as PatternValues["writeMode"],
    limits: {
      allowEmpty: values["patterns.allow_empty"] as boolean,
      maxRejectedShare: values["patterns.max_rejected_share"] as number,
    },
    contract: values["patterns.contract"] as PatternValues["contract"],
    fields: values["patterns.fields"] as FieldRules,
    code: values["patterns.code"] as string,
    naming: values.naming as string,
    newStreams: values.new_streams as PatternValues["newStreams"],
  };
}

/** The parts of the definition that have changed. A change of one field of the patterns sends all of them. */
function patternPatch(values: Values, has: (field: string) => boolean) {
  const { patterns, new_streams, naming } = patternConfig(patternsOf(values));
  const isChanged = Object.keys(values).some((field) => field.startsWith("patterns.") && has(field));
  return {
    ...(isChanged && { patterns }),
    ...((has("new_streams") || isChanged) && { new_streams }),
    ...(has("naming") && { naming }),
  };
}

function streamEntries(stream: Stream): [string, unknown][] {
  const values: StreamValues = {
    table: stream.table,
    sync_mode: stream.sync_mode,
    cursor_field: stream.cursor_field ?? "",
    primary_key: stream.primary_key.join(", "),
    write_mode: stream.write_mode,
    allow_empty: stream.allow_empty ?? false,
    max_rejected_share: stream.max_rejected_share ?? 0,
    contract: stream.contract ?? "evolve",
    fields: rulesOf(stream.fields),
    code: stream.transforms[0]?.code ?? "",
  };
  return STREAM_FIELDS.map((field) => [streamKey(field, stream.stream), values[field]]);
}

/** The saved streams that the user keeps, and then those that the user has added. */
export function listedStreams(values: Values): string[] {
  return [...keptStreams(values), ...addedStreams(values).map(({ stream }) => stream)];
}

export function keptStreams(values: Values): string[] {
  const removed = new Set(values[REMOVED] as string[]);
  return savedStreams(values).filter((stream) => !removed.has(stream));
}

/** The streams that the pipeline had when the user began to edit. */
export function savedStreams(values: Values): string[] {
  const prefix = streamKey("table", "");
  return Object.keys(values)
    .filter((field) => field.startsWith(prefix))
    .map((field) => field.slice(prefix.length));
}

/** The streams that the user has added to the list, with their settings. Nothing is saved yet. */
export function addedStreams(values: Values): StreamDraft[] {
  const saved = new Set(savedStreams(values)); // somebody else may have added one of them meanwhile
  return (values[ADDED] as StreamDraft[]).filter(({ stream }) => !saved.has(stream));
}

export function streamValues(values: Values, stream: string): StreamValues {
  return Object.fromEntries(
    STREAM_FIELDS.map((field) => [field, values[streamKey(field, stream)]]),
  ) as unknown as StreamValues;
}

type Definition = NonNullable<PipelineChange["config"]>;

/** The request that changes what the user has changed, and nothing else. The list of streams is always complete. */
export function changeOf(pipeline: Pipeline, values: Values): PipelineChange {
  const saved = valuesOf(pipeline);
  const changed = new Set(changedFields(saved, values));
  const has = (field: string) => changed.has(field);
  const definition: Definition = {
    ...(has("source") && { source: sidePatch(saved.source as Side, values.source as Side) }),
    ...(has("destination") && {
      destination: sidePatch(saved.destination as Side, values.destination as Side),
    }),
    ...((has("snapshot.scope") || has("snapshot.retry")) && {
      snapshot: {
        scope: values["snapshot.scope"],
        retry: values["snapshot.retry"],
      } as Definition["snapshot"],
    }),
    ...(has("on_stream_failure") && {
      on_stream_failure: values.on_stream_failure as Definition["on_stream_failure"],
    }),
    ...patternPatch(values, has),
    ...([...changed].some((field) => field.startsWith("streams/") || [ADDED, REMOVED].includes(field)) && {
      streams: [
        ...keptStreams(values).map((stream) => streamPatch(stream, values, changed)),
        ...addedStreams(values).map(streamConfig),
      ],
    }),
  };
  return {
    ...(has("name") && { name: String(values.name).trim() }),
    ...(has("description") && { description: String(values.description) }),
    ...(has("domain_id") && { domain_id: values.domain_id as string | null }),
    ...(has("tags") && { tags: parseList(String(values.tags)) }),
    ...(has("timeout_minutes") && { timeout_seconds: Math.round(Number(values.timeout_minutes) * 60) }),
    ...(has("max_attempts") && { max_attempts: Number(values.max_attempts) }),
    ...(Object.keys(definition).length > 0 && { config: definition }),
  };
}

function streamPatch(stream: string, values: Values, changed: Set<string>) {
  const all = streamValues(values, stream);
  const has = (field: StreamField) => changed.has(streamKey(field, stream));
  return {
    stream,
    ...(has("table") && { table: all.table.trim() || null }),
    ...(has("sync_mode") && { sync_mode: all.sync_mode }),
    ...(has("cursor_field") && { cursor_field: all.cursor_field.trim() || null }),
    ...(has("primary_key") && { primary_key: parseList(all.primary_key) }),
    ...(has("write_mode") && { write_mode: all.write_mode }),
    ...(has("allow_empty") && { allow_empty: all.allow_empty }),
    ...(has("max_rejected_share") && { max_rejected_share: all.max_rejected_share }),
    ...(has("contract") && { contract: all.contract }),
    ...(has("fields") && { fields: hasRules(all.fields) ? all.fields : null }),
    ...(has("code") && { transforms: transformsOf(all.code) }),
  };
}

function sidePatch(before: Side, after: Side) {
  if (after.connector_id) {
    return {
      connector_id: after.connector_id,
      ...(after.version !== undefined && { version: after.version }),
    };
  }
  const isSameKind = !before.connector_id && before.kind === after.kind;
  const config = withoutEmptyFields(after.config ?? {});
  return {
    connector_id: null,
    kind: after.kind,
    config: isSameKind ? mergePatch(withoutEmptyFields(before.config ?? {}), config) : config,
    ...(after.version !== undefined && { version: after.version }),
  };
}

/** The entries of a text such as "id, name", each once. */
export function parseList(text: string): string[] {
  const entries = text.split(",").map((entry) => entry.trim());
  return [...new Set(entries.filter(Boolean))];
}

/** The server's messages by the fields of the form. Messages about settings stay at their path: `source.config.port`. */
export function errorsByField(messages: Record<string, string>, streams: string[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(messages).map(([field, message]) => [
      fieldOfMessage(field, streams),
      messageOfRule(field, message),
    ]),
  );
}

function fieldOfMessage(path: string, streams: string[]): string {
  const plain = path.replace(/^config\./, "");
  if (plain === "timeout_seconds") return "timeout_minutes";
  if (/^tags(\.|$)/.test(plain)) return "tags";
  const [, number, field] = /^streams\.(\d+)\.(\w+)/.exec(plain) ?? [];
  const stream = streams[Number(number)];
  if (!field || stream === undefined) return plain;
  return streamKey(field === "transforms" ? "code" : (field as StreamField), stream);
}

const LABELS: Record<string, string> = {
  domain_id: "Domain",
  timeout_minutes: "Time limit of a run",
  source: "Source",
  destination: "Destination",
  fields: "Fields",
  code: "Transform",
};

/** The name of a field, with its stream if the pipeline has several. */
export function labelOf(field: string, hasManyStreams: boolean): string {
  const [, streamField, stream] = /^streams\/(\w+)\/(.*)$/s.exec(field) ?? [];
  const name = streamField ?? field;
  const label = LABELS[name] ?? fieldInWords(name);
  return stream && hasManyStreams ? `${label} of ${stream}` : label;
}

/** The value of a field as text, for the comparison of two versions. */
export function textOf(field: string, value: unknown): string {
  if (value === undefined) return "(removed)";
  const name = /^streams\/(\w+)\//.exec(field)?.[1] ?? field;
  if (name === "timeout_minutes") return `${String(value)} minutes`;
  if (name === "domain_id") return value === null ? "No domain" : String(value);
  if (name === "fields" || name === "patterns.fields") return rulesInWords(value as FieldRules);
  const inWords = valueInWords(name, value);
  return typeof inWords === "string" ? inWords : JSON.stringify(inWords, null, 2);
}
