/** Values in the arguments of a tool call. A path such as `plan.streams.0.name` names one of them, as in the server's errors. */
import type { EditField } from "./edit-fields";
import type { JsonRecord } from "./transcript";

export function valueAt(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((outer, step) => (isContainer(outer) ? outer[step] : undefined), value);
}

/** Returns a copy with another value at the path. */
export function withValue(value: unknown, path: string, next: unknown): unknown {
  const [step, ...rest] = path.split(".");
  const inner = rest.length > 0 ? withValue(valueAt(value, step!), rest.join("."), next) : next;
  if (Array.isArray(value)) return value.map((item, index) => (String(index) === step ? inner : item));
  return { ...(isContainer(value) ? value : {}), [step!]: inner };
}

/** Returns a copy without the values at these paths. */
function withoutItems(value: unknown, removed: ReadonlySet<string>, path = ""): unknown {
  if (!isContainer(value)) return value;
  const kept = Object.entries(value).filter(([step]) => !removed.has(join(path, step)));
  const copied = kept.map(([step, inner]) => [step, withoutItems(inner, removed, join(path, step))] as const);
  return Array.isArray(value) ? copied.map(([, inner]) => inner) : Object.fromEntries(copied);
}

/** Returns a copy in which the streams of a plan refer to their parents by the new names. */
function withRenamedParents(values: unknown, original: unknown): unknown {
  const namesOf = (plan: unknown) => streamsOf(plan).map((stream) => valueAt(stream, "name"));
  const [before, after] = [namesOf(original), namesOf(values)];
  return streamsOf(values).reduce<unknown>((result, stream, index) => {
    const parent = before.indexOf(valueAt(stream, "parent"));
    return parent < 0 ? result : withValue(result, `plan.streams.${index}.parent`, after[parent]);
  }, values);
}

function streamsOf(values: unknown): unknown[] {
  const streams = valueAt(values, "plan.streams");
  return Array.isArray(streams) ? streams : [];
}

function join(path: string, step: string): string {
  return path ? `${path}.${step}` : step;
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Returns the arguments to send: without the parts that the user leaves out, and without empty names in lists. */
export function argumentsToSend(
  values: JsonRecord,
  fields: EditField[],
  removed: ReadonlySet<string>,
  original: JsonRecord,
): JsonRecord {
  let result = withRenamedParents(values, original);
  for (const { path, kind } of fields) {
    const names = valueAt(result, path);
    if (kind !== "names" || !Array.isArray(names)) continue;
    result = withValue(result, path, names.map((name) => String(name).trim()).filter(Boolean));
  }
  return withoutItems(result, removed) as JsonRecord;
}
