/** Converts the JSON Schema of a connector's settings to the fields of a form. */
import { nameInWords } from "@/format/name";

export interface Schema {
  [keyword: string]: unknown;
}

export type Config = Record<string, unknown>;

interface BaseShape {
  title: string;
  description: string | null;
  example: string | null;
  /** Whether null is a valid value. It means that the setting is not set. */
  nullable: boolean;
  defaultValue: unknown;
}

export type FieldShape = BaseShape &
  (
    | { kind: "text" | "secret" | "long-text" | "sql" | "uploaded-file" }
    | { kind: "number"; integer: boolean; minimum: number | null; maximum: number | null }
    | { kind: "switch" }
    | { kind: "choice"; choices: (string | number)[] }
    | { kind: "texts" }
    /** The values of names that match `secretNames` are secret, or all if `secret` is true. */
    | { kind: "map"; secret: boolean; secretNames?: string }
    | { kind: "group"; schema: Schema }
    | { kind: "list"; schema: Schema }
    | { kind: "union"; options: UnionOption[] }
    | { kind: "json" }
  );

export interface UnionOption {
  title: string;
  schema: Schema;
  /** The property whose constant value identifies this option. */
  discriminator: { name: string; value: unknown } | null;
}

export interface FormField {
  name: string;
  required: boolean;
  schema: Schema;
}

/** Returns the schema with its `$ref` resolved, and with an `allOf` of one schema merged into it. */
export function resolve(schema: Schema, root: Schema): Schema {
  const { $ref, allOf, ...otherKeywords } = schema;
  if (typeof $ref === "string") return { ...resolve(lookUpReference($ref, root), root), ...otherKeywords };
  if (Array.isArray(allOf) && allOf.length === 1)
    return { ...resolve(allOf[0] as Schema, root), ...otherKeywords };
  return schema;
}

function lookUpReference(reference: string, root: Schema): Schema {
  let node: unknown = root;
  for (const step of reference.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    node = isObject(node) ? node[key] : undefined;
  }
  return isObject(node) ? node : {};
}

/** Returns the fields of an object in the schema's order, with the required ones first. The port stays beside its host. */
export function fieldsOf(schema: Schema, root: Schema): FormField[] {
  const node = resolve(schema, root);
  const required = new Set(Array.isArray(node.required) ? (node.required as string[]) : []);
  const fields = Object.entries(isObject(node.properties) ? node.properties : {})
    .filter(([, property]) => isObject(property) && !("const" in resolve(property, root)))
    .map(([name, property]) => ({ name, required: required.has(name), schema: property as Schema }));
  const isFirst = (field: FormField) => field.required || field.name === "port";
  return [...fields.filter(isFirst), ...fields.filter((field) => !isFirst(field))];
}

/** Returns the shape of a property's control. A property that fits no other control is edited as JSON. */
export function shapeOf(name: string, schema: Schema, root: Schema): FieldShape {
  const node = resolve(schema, root);
  const options = alternatives(node).map((option) => resolve(option, root));
  const nonNull = options.filter((option) => option.type !== "null");
  const nullable =
    options.length > nonNull.length || (Array.isArray(node.type) && node.type.includes("null"));
  const title = titleOf(name, schema);
  const base = {
    title,
    description: withoutRepetition(title, nonEmptyText(node.description)),
    example: exampleOf(node),
    nullable,
    defaultValue: node.default,
  };
  if (nonNull.length === 1 && isObject(nonNull[0]!.properties)) {
    return { ...base, kind: "union", options: [unionOption(nonNull[0]!, root)] };
  }
  if (nonNull.length === 1)
    return {
      ...shapeOf(name, { ...nonNull[0], ...ownKeywords(schema) }, root),
      nullable,
      defaultValue: node.default,
    };
  if (nonNull.length > 1 && nonNull.every((option) => isObject(option.properties))) {
    return { ...base, kind: "union", options: nonNull.map((option) => unionOption(option, root)) };
  }
  if (nonNull.length > 1)
    return { ...base, kind: isSecret(node) ? "secret" : allowsOnlyText(nonNull) ? "text" : "json" };
  return { ...base, ...plainShape(node, root) } as FieldShape;
}

/** Returns the description, or null if it only repeats the title. */
function withoutRepetition(title: string, description: string | null): string | null {
  return description?.replace(/\.$/, "").toLowerCase() === title.toLowerCase() ? null : description;
}

/** Returns the keywords of the property that replace those of its only alternative. */
function ownKeywords(schema: Schema): Schema {
  const keywords = ["title", "description", "writeOnly", "examples"];
  return Object.fromEntries(
    keywords.filter((key) => schema[key] !== undefined).map((key) => [key, schema[key]]),
  );
}

/** Returns the property's own title, or its name in words. The title behind a `$ref` does not describe this property. */
function titleOf(name: string, schema: Schema): string {
  const ownTitle = nonEmptyText(schema.title);
  const isGenerated =
    ownTitle === null ||
    ownTitle.replaceAll(" ", "").toLowerCase() === name.replaceAll("_", "").toLowerCase();
  return isGenerated ? nameInWords(name) : ownTitle;
}

function exampleOf(node: Schema): string | null {
  const first: unknown = Array.isArray(node.examples) ? node.examples[0] : null;
  return typeof first === "string" || typeof first === "number" ? String(first) : null;
}

function plainShape(node: Schema, root: Schema): object {
  if (isSecret(node))
    return isObject(node.additionalProperties) ? { kind: "map", secret: true } : { kind: "secret" };
  if (Array.isArray(node.enum)) return { kind: "choice", choices: node.enum };
  switch (Array.isArray(node.type) ? node.type.find((type) => type !== "null") : node.type) {
    case "string":
      if (node.format === "uploaded-file" || node.format === "sql") return { kind: node.format };
      return { kind: isLong(node) ? "long-text" : "text" };
    case "integer":
    case "number":
      return {
        kind: "number",
        integer: node.type === "integer",
        minimum: numberOrNull(node.minimum),
        maximum: numberOrNull(node.maximum),
      };
    case "boolean":
      return { kind: "switch" };
    case "array":
      return listShape(node, root);
    case "object":
      return objectShape(node, root);
    default:
      return { kind: "json" };
  }
}

function listShape(node: Schema, root: Schema): object {
  const items = isObject(node.items) ? resolve(node.items, root) : {};
  if (items.type === "string") return { kind: "texts" };
  return isObject(items.properties) ? { kind: "list", schema: items } : { kind: "json" };
}

function objectShape(node: Schema, root: Schema): object {
  if (isObject(node.properties)) return { kind: "group", schema: node };
  const patterns = Object.entries(isObject(node.patternProperties) ? node.patternProperties : {})
    .filter((entry): entry is [string, Schema] => isObject(entry[1]))
    .map(([pattern, value]) => [pattern, resolve(value, root)] as const);
  const others = isObject(node.additionalProperties) ? [resolve(node.additionalProperties, root)] : [];
  const values = [...others, ...patterns.map(([, value]) => value)];
  if (values.length === 0 || !values.every(isScalar)) return { kind: "json" };
  const secretPatterns = patterns.filter(([, value]) => isSecret(value)).map(([pattern]) => pattern);
  if (values.every(isSecret)) return { kind: "map", secret: true };
  return {
    kind: "map",
    secret: false,
    ...(secretPatterns.length > 0 && { secretNames: secretPatterns.join("|") }),
  };
}

/** Whether the value of this name is secret in the map. */
export function isSecretEntry({ secret, secretNames }: MapShape, name: string): boolean {
  return secret || (secretNames !== undefined && new RegExp(secretNames, "u").test(name));
}

type MapShape = Pick<Extract<FieldShape, { kind: "map" }>, "secret" | "secretNames">;

const SCALAR_TYPES: unknown[] = ["string", "integer", "number", "boolean"];

function isScalar(schema: Schema): boolean {
  return (
    SCALAR_TYPES.includes(schema.type) ||
    (Array.isArray(schema.type) && schema.type.every((type) => SCALAR_TYPES.includes(type))) ||
    (alternatives(schema).length > 0 && alternatives(schema).every(isScalar))
  );
}

export function alternatives(node: Schema): Schema[] {
  const options = node.anyOf ?? node.oneOf;
  return Array.isArray(options) ? options.filter(isObject) : [];
}

function unionOption(option: Schema, root: Schema): UnionOption {
  const constant = Object.entries(constantsOf(option, root))[0];
  const discriminator = constant ? { name: constant[0], value: constant[1] } : null;
  const title = nonEmptyText(option.title);
  const optionTitle = title?.includes(" ")
    ? title
    : nameInWords(String(discriminator?.value ?? title ?? "Option"));
  return { title: optionTitle, schema: option, discriminator };
}

/** Returns the index of the option whose discriminator the value has, or -1. */
export function optionIndex(value: unknown, options: UnionOption[]): number {
  if (!isObject(value)) return -1;
  return options.findIndex(
    ({ discriminator }) => discriminator === null || value[discriminator.name] === discriminator.value,
  );
}

/** Returns the properties of an object that have a constant value. The form has no fields for them. */
export function constantsOf(schema: Schema, root: Schema): Config {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const constants = Object.entries(properties)
    .map(([name, property]) => [name, isObject(property) ? resolve(property, root) : {}] as const)
    .filter(([, property]) => "const" in property);
  return Object.fromEntries(constants.map(([name, property]) => [name, property.const]));
}

function isSecret(schema: Schema): boolean {
  return schema.writeOnly === true || schema.format === "password";
}

/** Whether the value is what the server returns in place of a secret: `{"set": true, "last4": "1234"}`. */
export function isMaskedSecret(value: unknown): value is { set: boolean; last4?: string } {
  return (
    isObject(value) &&
    typeof value.set === "boolean" &&
    Object.keys(value).every((key) => key === "set" || key === "last4" || key === "path")
  );
}

/** Returns the value without its empty fields. For those the server uses its defaults. */
export function withoutEmptyFields(value: Config): Config {
  const entries = Object.entries(value).map(([key, inner]) => [key, valueWithoutEmptyFields(inner)] as const);
  return Object.fromEntries(entries.filter(([, inner]) => !isEmpty(inner)));
}

function valueWithoutEmptyFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(valueWithoutEmptyFields);
  return isObject(value) && !isMaskedSecret(value) ? withoutEmptyFields(value) : value;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === "" || (isObject(value) && Object.keys(value).length === 0);
}

/** Text in a JSON field that is not valid JSON. The form cannot be submitted with it. */
export class InvalidJson {
  constructor(readonly text: string) {}
}

function allowsOnlyText(options: Schema[]): boolean {
  return options.every(
    (option) => option.type === "string" || option.const !== undefined || Array.isArray(option.enum),
  );
}

const LONG_TEXT_LENGTH = 5_000; // characters; a text that may be this long, such as a certificate, gets a larger input

function isLong(node: Schema): boolean {
  return node.format === "textarea" || (numberOrNull(node.maxLength) ?? 0) >= LONG_TEXT_LENGTH;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function nonEmptyText(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

/** Returns the settings with a placeholder for each secret, so that they can be shown. */
export function withoutSecrets(schema: Schema, root: Schema, value: Config): Config {
  return replaceSecrets(schema, root, value, HIDDEN);
}

/** Returns the settings that may be kept in the browser: all but the secrets. */
export function keptConfig(schema: Schema, value: Config): Config {
  return replaceSecrets(schema, schema, value, undefined);
}

/** Returns the settings with `hidden` in place of each secret. */
function replaceSecrets(schema: Schema, root: Schema, value: Config, hidden: Hidden): Config {
  const shapes = new Map(
    fieldsOf(schema, root).map((field) => [field.name, shapeOf(field.name, field.schema, root)]),
  );
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      withoutSecret(shapes.get(name), root, inner, hidden),
    ]),
  );
}

const HIDDEN = "(secret)";
type Hidden = typeof HIDDEN | undefined;

function withoutSecret(shape: FieldShape | undefined, root: Schema, value: unknown, hidden: Hidden): unknown {
  if (isMaskedSecret(value) || value instanceof InvalidJson) return hidden;
  if (shape === undefined) return typeof value === "object" ? hidden : value; // a constant, such as the type of a union
  if (shape.kind === "secret") return hidden;
  if (shape.kind === "map" && isObject(value)) return withoutSecretEntries(shape, value, hidden);
  const replaceIn = (schema: Schema, inner: Config) => replaceSecrets(schema, root, inner, hidden);
  if (shape.kind === "group" && isObject(value)) return replaceIn(shape.schema, value);
  if (shape.kind === "list" && Array.isArray(value)) {
    return value.map((item: unknown) => (isObject(item) ? replaceIn(shape.schema, item) : item));
  }
  if (shape.kind === "union" && isObject(value)) {
    const option = shape.options[optionIndex(value, shape.options)];
    return option ? replaceIn(option.schema, value) : hidden;
  }
  return value;
}

function withoutSecretEntries(shape: MapShape, value: Config, hidden: Hidden): unknown {
  if (shape.secret) return hidden;
  const entries = Object.entries(value).map(([name, inner]) => [
    name,
    isSecretEntry(shape, name) || isMaskedSecret(inner) ? hidden : inner,
  ]);
  return Object.fromEntries(entries) as Config;
}
