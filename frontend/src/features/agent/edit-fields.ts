/** Which arguments of a tool call a form shows. All others stay as they are, and can be edited as JSON. */
import { fieldInWords } from "@/format/change";
import { SYNC_MODES, WRITE_MODES } from "@/format/modes";
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
  const fields = tool === "update_pipeline" ? fieldsOfChange(args) : plainFields(args);
  return fields.length > 0 ? { fields, groups: [], legend: "" } : null;
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
  const groups = itemsAt(args, "pipelines").map(([path, pipeline]) => ({
    path,
    title: String(pipeline.name ?? ""),
    detail: String(valueAt(pipeline, "streams.0.stream") ?? ""),
    fields: [
      { path: `${path}.name`, label: "Name", kind: "text" } as const,
      ...fieldsOfStream(args, `${path}.streams.0`),
      scheduleField(`${path}.schedule`),
    ],
  }));
  if (groups.length === 1) return { fields: groups[0]!.fields, groups: [], legend: "" };
  return { fields: [], groups, legend: "Pipelines" };
}

/** The modes of a stream. Without a write mode the server chooses the usual one of the destination. */
function fieldsOfStream(args: JsonRecord, path: string): EditField[] {
  const isIncremental = valueAt(args, `${path}.sync_mode`) === "incremental";
  const isMerge = valueAt(args, `${path}.write_mode`) === "merge";
  const fields: EditField[] = [
    { path: `${path}.table`, label: "Destination table", kind: "text", empty: null },
    { path: `${path}.sync_mode`, label: "Sync mode", kind: "choice", choices: SYNC_MODES },
    {
      path: `${path}.write_mode`,
      label: "Write mode",
      kind: "choice",
      choices: { "": "Usual mode of the destination", ...WRITE_MODES },
      empty: null,
    },
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

function scheduleField(path: string): EditField {
  return { path, label: "Schedule", kind: "schedule" };
}

/** The values that a change of a pipeline sends. The others of the pipeline stay as they are. */
function fieldsOfChange(args: JsonRecord): EditField[] {
  const { schedule, streams, tags, ...others } = args;
  const stream = Array.isArray(streams) ? (streams[0] as JsonRecord) : {};
  const fields = plainFields(others);
  if (tags !== undefined) fields.push({ path: "tags", label: "Tags", kind: "names" });
  if (hasTiming(schedule)) fields.push(scheduleField("schedule"));
  const known = fieldsOfStream(args, "streams.0");
  return [...fields, ...known.filter(({ path }) => path.split(".")[2]! in stream)];
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
