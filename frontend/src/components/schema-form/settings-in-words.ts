import {
  fieldsOf,
  InvalidJson,
  isMaskedSecret,
  isObject,
  isSecretEntry,
  optionIndex,
  shapeOf,
  type Config,
  type Schema,
} from "./schema";

/** A setting as a line of text. A secret is never part of it. */
export interface SettingLine {
  path: string;
  title: string;
  text: string;
}

/** Returns the settings that have a value, in the order of the form. */
export function settingsInWords(schema: Schema, config: Config, root = schema, path = ""): SettingLine[] {
  return fieldsOf(schema, root).flatMap(({ name, schema: inner }) =>
    config[name] === undefined || config[name] === null
      ? []
      : linesOf(name, inner, config[name], root, path ? `${path}.${name}` : name),
  );
}

function linesOf(name: string, schema: Schema, value: unknown, root: Schema, path: string): SettingLine[] {
  const shape = shapeOf(name, schema, root);
  const line = (text: string) => [{ path, title: shape.title, text }];
  if (shape.kind === "secret") return line(secretInWords(value));
  if (shape.kind === "group" && isObject(value))
    return withTitle(shape.title, settingsInWords(shape.schema, value, root, path));
  if (shape.kind === "union" && isObject(value)) {
    const option = shape.options[optionIndex(value, shape.options)];
    if (!option) return line("Set");
    const settings = settingsInWords(option.schema, value, root, path);
    return [...line(option.title), ...withTitle(shape.title, settings)];
  }
  if (shape.kind === "list" && Array.isArray(value))
    return value.flatMap((item: unknown, index) =>
      withTitle(
        `${shape.title} ${index + 1}`,
        settingsInWords(shape.schema, isObject(item) ? item : {}, root, `${path}.${index}`),
      ),
    );
  if (shape.kind === "map" && isObject(value)) {
    const entries = Object.entries(value);
    return entries.map(([key, inner]) => ({
      path: `${path}.${key}`,
      title: `${shape.title}: ${key}`,
      text: isSecretEntry(shape, key) ? secretInWords(inner) : plainInWords(inner),
    }));
  }
  return line(plainInWords(value));
}

function withTitle(title: string, lines: SettingLine[]): SettingLine[] {
  return lines.map((line) => ({ ...line, title: `${title}: ${line.title}` }));
}

/** Says whether a secret is set, and never the secret. `value` is what the server shows, or what the user has typed. */
export function secretInWords(value: unknown): string {
  if (!isMaskedSecret(value)) return value === "" ? "Not set" : "A new value";
  if (!value.set) return "Not set";
  return value.last4 ? `Set, ends in ${value.last4}` : "Set";
}

export function plainInWords(value: unknown): string {
  if (value === "") return "Not set";
  if (isMaskedSecret(value)) return secretInWords(value);
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (value instanceof InvalidJson) return value.text;
  if (Array.isArray(value) && value.every((item) => typeof item !== "object")) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
