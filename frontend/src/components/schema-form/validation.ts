/** Checks settings as the server does (`apps/connectors/schemas.py`), with its messages, before they are sent. */
import {
  alternatives,
  fieldsOf,
  InvalidJson,
  isMaskedSecret,
  isObject,
  optionIndex,
  resolve,
  shapeOf,
  type Config,
  type Schema,
} from "./schema";

/** Messages by the paths that the server uses, such as `auth.token` or `streams.0.name`. */
export type Messages = Record<string, string>;

export const REQUIRED = "This field is required.";

/** Returns a message for each setting that is missing or wrong. The server still has the last word. */
export function settingErrors(schema: Schema, value: Config, root = schema, path = ""): Messages {
  const found = fieldsOf(schema, root).map((field) => {
    const fieldPath = path ? `${path}.${field.name}` : field.name;
    return fieldErrors(field.name, field.schema, field.required, value[field.name], root, fieldPath);
  });
  return Object.assign({}, ...found) as Messages;
}

/** Returns the paths of the required settings that are empty. */
export function missingFields(messages: Messages): string[] {
  return Object.keys(messages).filter((path) => messages[path] === REQUIRED);
}

function fieldErrors(
  name: string,
  schema: Schema,
  required: boolean,
  value: unknown,
  root: Schema,
  path: string,
): Messages {
  const shape = shapeOf(name, schema, root);
  if (value instanceof InvalidJson) return { [path]: "This is not valid JSON." };
  if (shape.kind === "group" && (required || isObject(value)))
    return settingErrors(shape.schema, isObject(value) ? value : {}, root, path);
  if (shape.kind === "union" && required && shape.options.length === 1)
    return settingErrors(shape.options[0]!.schema, isObject(value) ? value : {}, root, path);
  if (shape.kind === "union" && isObject(value)) {
    const option = shape.options[optionIndex(value, shape.options)];
    return option ? settingErrors(option.schema, value, root, path) : { [path]: REQUIRED };
  }
  if (isEmpty(value, shape.nullable))
    return required && shape.defaultValue === undefined ? { [path]: REQUIRED } : {};
  if (value === null || isMaskedSecret(value)) return {};
  if (shape.kind === "list" && Array.isArray(value)) {
    const items = value.map((item: unknown, index) =>
      settingErrors(shape.schema, isObject(item) ? item : {}, root, `${path}.${index}`),
    );
    return Object.assign(valueErrors(schema, value, root, path), ...items) as Messages;
  }
  return valueErrors(schema, value, root, path);
}

function isEmpty(value: unknown, nullable: boolean): boolean {
  return value === undefined || value === "" || (value === null && !nullable);
}

/** Returns what is wrong with a value that is not empty. Of several alternatives the one with the fewest errors counts. */
function valueErrors(schema: Schema, value: unknown, root: Schema, path: string): Messages {
  const node = resolve(schema, root);
  const options = alternatives(node)
    .map((option) => resolve(option, root))
    .filter(({ type }) => type !== "null");
  if (options.length > 0) {
    const errors = options.map((option) => valueErrors(option, value, root, path));
    return errors.reduce((best, other) =>
      Object.keys(other).length < Object.keys(best).length ? other : best,
    );
  }
  const message = messageOf(node, value);
  return { ...(message !== null && { [path]: message }), ...innerErrors(node, value, root, path) };
}

/** Returns the errors of the entries of a list of texts, and of a map. */
function innerErrors(node: Schema, value: unknown, root: Schema, path: string): Messages {
  if (Array.isArray(value) && isObject(node.items) && resolve(node.items, root).type === "string") {
    const items = node.items;
    return Object.assign(
      {},
      ...value.map((entry: unknown, index) => valueErrors(items, entry, root, `${path}.${index}`)),
    ) as Messages;
  }
  if (!isObject(value) || isMaskedSecret(value) || isObject(node.properties)) return {};
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, inner]) => entryErrors(node, key, inner, root, `${path}.${key}`)),
  ) as Messages;
}

function entryErrors(node: Schema, key: string, value: unknown, root: Schema, path: string): Messages {
  const patterns = isObject(node.patternProperties) ? Object.entries(node.patternProperties) : [];
  const schema = patterns.find(([pattern]) => matches(pattern, key))?.[1] ?? node.additionalProperties;
  if (schema === false) return { [path]: "This name is not allowed." };
  return isObject(schema) && !isMaskedSecret(value) && value !== ""
    ? valueErrors(schema, value, root, path)
    : {};
}

function messageOf(node: Schema, value: unknown): string | null {
  if (typeof value === "string") return textMessage(node, value);
  if (typeof value === "number") return numberMessage(node, value);
  if (Array.isArray(value)) return countMessage(node.minItems, node.maxItems, value.length);
  return isObject(value) ? countMessage(undefined, node.maxProperties, Object.keys(value).length) : null;
}

function textMessage(node: Schema, value: string): string | null {
  const length = [...value].length; // The server counts characters, not the units of UTF-16.
  if (isNumber(node.minLength) && length < node.minLength)
    return node.minLength === 1 ? "Must not be empty." : `At least ${node.minLength} characters.`;
  if (isNumber(node.maxLength) && length > node.maxLength) return `At most ${node.maxLength} characters.`;
  if (typeof node.pattern !== "string" || matches(node.pattern, value)) return null;
  return String(node["x-pattern-message"] ?? `Must match ${node.pattern}.`);
}

function numberMessage(node: Schema, value: number): string | null {
  if (node.type === "integer" && !Number.isInteger(value)) return "Must be a whole number.";
  if (isNumber(node.minimum) && value < node.minimum) return `Must be at least ${node.minimum}.`;
  if (isNumber(node.exclusiveMinimum) && value <= node.exclusiveMinimum)
    return `Must be more than ${node.exclusiveMinimum}.`;
  if (isNumber(node.maximum) && value > node.maximum) return `Must be at most ${node.maximum}.`;
  if (isNumber(node.exclusiveMaximum) && value >= node.exclusiveMaximum)
    return `Must be less than ${node.exclusiveMaximum}.`;
  return null;
}

function countMessage(least: unknown, most: unknown, count: number): string | null {
  if (isNumber(least) && count < least)
    return least === 1 ? "At least one entry." : `At least ${least} entries.`;
  return isNumber(most) && count > most ? `At most ${most} entries.` : null;
}

/** Whether the pattern matches. A pattern that only the server understands is left to it. */
function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true;
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}
