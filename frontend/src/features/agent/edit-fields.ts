/** Which arguments of a tool call a form shows. All others stay as they are, and can be edited as JSON. */
import { fieldInWords } from "@/format/change";
import { ruleInWords, type FieldRule } from "@/format/fields";
import { SYNC_MODES, WRITE_MODES } from "@/format/modes";
import { NEW_STREAMS } from "@/format/patterns";
import type { JsonRecord } from "./transcript";
import { valueAt } from "./edit-values";

export interface EditField {
  path: string;
  label: string;
  kind: "text" | "names" | "number" | "yes_no" | "schedule" | "choice";
  /** The values of a choice, with their words. */
  choices?: Record<string, string>;
  hint?: string;
  /** What an empty field is sent as. Without it the field is required. */
  empty?: "" | null;
}

/** A part that the user can leave out, such as one stream of a plan. */
export interface EditGroup {
  path: string;
  title: string;
  detail: string;
  fields: EditField[];
}

export interface EditableFields {
  fields: EditField[];
  groups: EditGroup[];
  /** What the groups are, such as "Streams". */
  legend: string;
}

/** Returns the fields of the form, or null if the arguments can be edited only as JSON. */
export function editableFields(tool: string, args: JsonRecord): EditableFields | null {
  if (tool === "propose_source_plan") return fieldsOfPlan(args);
  if (tool === "create_pipelines") return fieldsOfPipelines(args);
  const { fields, groups, legend } =
    tool === "update_pipeline" ? fieldsOfChange(args) : { fields: plainFields(args), groups: [], legend: "" };
  return fields.length + groups.length > 0 ? { fields, groups, legend } : null;
}

function fieldsOfPlan(args: JsonRecord): EditableFields {
  const groups = itemsAt(args, "plan.streams").map(([path, stream]) => ({
    path,
    title: String(stream.name ?? ""),
    detail: `GET ${String(stream.path ?? "")}`,
    fields: fieldsOfPlannedStream(path),
  }));
  const fields: EditField[] = [
    { path: "plan.name", label: "Name", kind: "text" },
    { path: "plan.base_url", label: "Base URL", kind: "text" },
  ];
  return { fields, groups, legend: "Streams" };
}

function fieldsOfPlannedStream(path: string): EditField[] {
  return [
    { path: `${path}.name`, label: "Name", kind: "text" },
    { path: `${path}.path`, label: "Path", kind: "text" },
    { path: `${path}.records`, label: "Place of the records in the response", kind: "text", empty: "" },
    {
      path: `${path}.primary_key`,
      label: "Primary key",
      kind: "names",
      hint: "Fields, with commas between them.",
    },
    {
      path: `${path}.cursor_field`,
      label: "Cursor field",
      kind: "text",
      empty: "",
      hint: "A field that grows. With the parameter for newer records the stream can be read incrementally.",
    },
    { path: `${path}.since`, label: "Query parameter for newer records", kind: "text", empty: "" },
  ];
}

function fieldsOfPipelines(args: JsonRecord): EditableFields {
  const pipelines = itemsAt(args, "pipelines");
  const [first] = pipelines;
  if (pipelines.length === 1) {
    const [path, pipeline] = first!;
    const groups = hasOneStream(pipeline) ? [] : groupsOfStreams(args, `${path}.streams`);
    return { fields: fieldsOfPipeline(args, path, pipeline), groups, legend: "Streams" };
  }
  const groups = pipelines.map(([path, pipeline]) => ({
    path,
    title: String(pipeline.name ?? ""),
    detail: streamsInWords(pipeline),
    fields: fieldsOfPipeline(args, path, pipeline),
  }));
  return { fields: [], groups, legend: "Pipelines" };
}

function hasOneStream(pipeline: JsonRecord): boolean {
  return itemsAt(pipeline, "streams").length === 1 && pipeline.patterns == null;
}

function streamsInWords(pipeline: JsonRecord): string {
  const names = itemsAt(pipeline, "streams").map(([, { stream }]) => stream);
  const match = valueAt(pipeline, "patterns.match");
  return [...(Array.isArray(match) ? match : []), ...names].join(", ");
}

/** The fields of a pipeline, with those of its stream if it has only one. */
function fieldsOfPipeline(args: JsonRecord, path: string, pipeline: JsonRecord): EditField[] {
  return [
    { path: `${path}.name`, label: "Name", kind: "text" },
    ...(pipeline.patterns ? fieldsOfPatterns(pipeline, path) : []),
    ...(hasOneStream(pipeline) ? fieldsOfStream(args, `${path}.streams.0`) : []),
    scheduleField(`${path}.schedule`),
  ];
}

function fieldsOfPatterns(pipeline: JsonRecord, path: string): EditField[] {
  const patterns = `${path}.patterns`;
  const isIncremental = valueAt(pipeline, "patterns.sync_mode") === "incremental";
  const cursor: EditField = {
    path: `${patterns}.cursor_field`,
    label: "Cursor field",
    kind: "text",
    empty: null,
  };
  return [
    { path: `${patterns}.match`, label: "Patterns", kind: "names", hint: PATTERNS_HINT },
    { path: `${patterns}.sync_mode`, label: "Sync mode", kind: "choice", choices: SYNC_MODES },
    ...(isIncremental ? [cursor] : []),
    writeModeField(patterns),
    { path: `${path}.naming`, label: "Destination tables", kind: "text", empty: null, hint: NAMING_HINT },
    newStreamsField(`${path}.new_streams`),
  ];
}

/** Without a value new streams are added, which is the first choice. */
function newStreamsField(path: string): EditField {
  return { path, label: "New streams", kind: "choice", choices: NEW_STREAMS };
}

const PATTERNS_HINT = "Commas between them. * stands for any characters, and ! before a pattern excludes.";
const NAMING_HINT = "A rule such as raw.{schema}_{table}. Empty for the names of the streams.";

/** A part for each stream of a list. The user can leave it out. */
function groupsOfStreams(args: JsonRecord, path: string): EditGroup[] {
  return itemsAt(args, path).map(([place, stream]) => ({
    path: place,
    title: String(stream.stream ?? ""),
    detail: stream.table ? `to ${String(stream.table)}` : "",
    fields: fieldsOfStream(args, place),
  }));
}

/** The modes of a stream. Without a write mode the server chooses the usual one of the destination. */
function fieldsOfStream(args: JsonRecord, path: string): EditField[] {
  const isIncremental = valueAt(args, `${path}.sync_mode`) === "incremental";
  const isMerge = valueAt(args, `${path}.write_mode`) === "merge";
  const fields: EditField[] = [
    { path: `${path}.table`, label: "Destination table", kind: "text", empty: null },
    { path: `${path}.sync_mode`, label: "Sync mode", kind: "choice", choices: SYNC_MODES },
    writeModeField(path),
  ];
  if (isIncremental)
    fields.splice(2, 0, { path: `${path}.cursor_field`, label: "Cursor field", kind: "text", empty: null });
  if (isMerge) fields.push({ path: `${path}.primary_key`, label: "Primary key", kind: "names" });
  if (valueAt(args, `${path}.allow_empty`) != null)
    fields.push({ path: `${path}.allow_empty`, label: fieldInWords("allow_empty"), kind: "yes_no" });
  if (valueAt(args, `${path}.max_rejected_share`) != null)
    fields.push({
      path: `${path}.max_rejected_share`,
      label: fieldInWords("max_rejected_share"),
      kind: "number",
      hint: "A share from 0 to 1: 0.01 is one percent.",
    });
  return fields;
}

function writeModeField(path: string): EditField {
  return {
    path: `${path}.write_mode`,
    label: "Write mode",
    kind: "choice",
    choices: { "": "Usual mode of the destination", ...WRITE_MODES },
    empty: null,
  };
}

function scheduleField(path: string): EditField {
  return { path, label: "Schedule", kind: "schedule" };
}

/** The values that a change of a pipeline sends. The others of the pipeline stay as they are. */
function fieldsOfChange(args: JsonRecord): EditableFields {
  const { schedule, tags, patterns, remove_streams, new_streams, ...others } = args;
  const fields = plainFields(others);
  if (tags !== undefined) fields.push({ path: "tags", label: "Tags", kind: "names" });
  if (Array.isArray(valueAt(patterns, "match")))
    fields.push({ path: "patterns.match", label: "Patterns", kind: "names", hint: PATTERNS_HINT });
  if (new_streams != null) fields.push(newStreamsField("new_streams"));
  if (Array.isArray(remove_streams) && remove_streams.length > 0)
    fields.push({ path: "remove_streams", label: "Streams that are removed", kind: "names" });
  if (hasTiming(schedule)) fields.push(scheduleField("schedule"));
  const changed = groupsOfStreams(args, "streams").map((group) => withSentFields(args, group));
  if (changed.length === 1) fields.push(...changed[0]!.fields);
  const groups = [
    ...(changed.length > 1 ? changed : []),
    ...groupsOfStreams(args, "add_streams"),
    ...groupsOfRules(args),
  ];
  return { fields, groups, legend: "Streams" };
}

/** The part with only the fields that the change sends. */
function withSentFields(args: JsonRecord, group: EditGroup): EditGroup {
  const stream = valueAt(args, group.path) as JsonRecord;
  return { ...group, fields: group.fields.filter(({ path }) => path.split(".")[2]! in stream) };
}

/** A part for each rule for a field that a change sends. The user can leave it out. */
function groupsOfRules(args: JsonRecord): EditGroup[] {
  return itemsAt(args, "streams").flatMap(([path, stream]) =>
    itemsAt(args, `${path}.fields`).map(([place, rule]) => ({
      path: place,
      title: String(rule.field ?? ""),
      detail: ruleInWords(rule as unknown as FieldRule).replace(/^.*?: /, "") + nameOf(stream),
      fields: [],
    })),
  );
}

function nameOf({ stream }: JsonRecord): string {
  return typeof stream === "string" ? ` in ${stream}` : "";
}

/** Whether the change sets or removes the times of the schedule. It may change only what happens if runs overlap. */
function hasTiming(schedule: unknown): boolean {
  return (
    schedule === null || valueAt(schedule, "cron") != null || valueAt(schedule, "interval_seconds") != null
  );
}

/** Fields for the texts, numbers and switches among the arguments. Ids and code have no field. */
function plainFields(args: JsonRecord): EditField[] {
  return Object.entries(args).flatMap(([name, value]): EditField[] => {
    if (name === "code" || /(^|_)id$/.test(name)) return [];
    const field = { path: name, label: labelOf(name) };
    if (typeof value === "boolean") return [{ ...field, kind: "yes_no" }];
    if (typeof value === "number") return [{ ...field, kind: "number" }];
    return typeof value === "string" ? [{ ...field, kind: "text" }] : [];
  });
}

function labelOf(name: string): string {
  const label = fieldInWords(name);
  return label === name ? `${name[0]!.toUpperCase()}${name.slice(1).replaceAll("_", " ")}` : label;
}

function itemsAt(args: JsonRecord, path: string): [string, JsonRecord][] {
  const items = valueAt(args, path);
  return Array.isArray(items) ? items.map((item, index) => [`${path}.${index}`, item as JsonRecord]) : [];
}
