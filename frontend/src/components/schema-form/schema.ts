/** Reads the JSON Schema of a connector's settings as the fields of a form. */
import { nameInWords } from "@/format/name";

export interface Schema {
  [keyword: string]: unknown;
}

export type Config = Record<string, unknown>;

interface Base {
  title: string;
  description: string | null;
  example: string | null;
  /** null is a valid value and stands for "not given". */
  nullable: boolean;
  fallback: unknown;
}

export type FieldShape = Base &
  (
    | { kind: "text" | "secret" | "long-text" }
    | { kind: "number"; whole: boolean; minimum: number | null; maximum: number | null }
    | { kind: "switch" }
    | { kind: "choice"; choices: (string | number)[] }
    | { kind: "texts" }
    | { kind: "map"; secret: boolean }
    | { kind: "group"; schema: Schema }
    | { kind: "list"; schema: Schema }
    | { kind: "union"; options: UnionOption[] }
    | { kind: "json" }
  );

interface UnionOption {
  title: string;
  schema: Schema;
  /** The property whose constant tells the options apart. */
  marker: { name: string; value: unknown } | null;
}

export interface FormField {
  name: string;
  required: boolean;
  schema: Schema;
}

/** `schema` with its reference followed and its single `allOf` folded in. */
function resolved(schema: Schema, root: Schema): Schema {
  const { $ref, allOf, ...own } = schema;
  if (typeof $ref === "string") return { ...resolved(pointedAt($ref, root), root), ...own };
  if (Array.isArray(allOf) && allOf.length === 1) return { ...resolved(allOf[0] as Schema, root), ...own };
  return schema;
}

function pointedAt(reference: string, root: Schema): Schema {
  let found: unknown = root;
  for (const step of reference.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    found = isObject(found) ? found[key] : undefined;
  }
  return isObject(found) ? found : {};
}

/** The fields of an object, the required ones first, otherwise in the schema's order. */
export function fieldsOf(schema: Schema, root: Schema): FormField[] {
  const node = resolved(schema, root);
  const required = new Set(Array.isArray(node.required) ? (node.required as string[]) : []);
  const fields = Object.entries(isObject(node.properties) ? node.properties : {})
    .filter(([, property]) => isObject(property) && !("const" in resolved(property, root)))
    .map(([name, property]) => ({ name, required: required.has(name), schema: property as Schema }));
  return [...fields.filter((field) => field.required), ...fields.filter((field) => !field.required)];
}

/** What kind of control a property needs. What has no better one is edited as JSON. */
export function shapeOf(name: string, schema: Schema, root: Schema): FieldShape {
  const node = resolved(schema, root);
  const options = alternatives(node).map((option) => resolved(option, root));
  const real = options.filter((option) => option.type !== "null");
  const nullable = options.length > real.length || (Array.isArray(node.type) && node.type.includes("null"));
  const title = titleOf(name, schema);
  const base = {
    title,
    description: beyond(title, text(node.description)),
    example: exampleOf(node),
    nullable,
    fallback: node.default,
  };
  if (real.length === 1 && isObject(real[0]!.properties)) {
    return { ...base, kind: "union", options: [unionOption(real[0]!, root)] };
  }
  if (real.length === 1)
    return { ...shapeOf(name, { ...real[0], ...kept(schema) }, root), nullable, fallback: node.default };
  if (real.length > 1 && real.every((option) => isObject(option.properties))) {
    return { ...base, kind: "union", options: real.map((option) => unionOption(option, root)) };
  }
  if (real.length > 1) return { ...base, kind: isSecret(node) ? "secret" : allTexts(real) ? "text" : "json" };
  return { ...base, ...plainShape(node, root) } as FieldShape;
}

/** A description that only repeats the title says nothing. */
function beyond(title: string, description: string | null): string | null {
  return description?.replace(/\.$/, "").toLowerCase() === title.toLowerCase() ? null : description;
}

/** The property's own title and description, which replace those of its only alternative. */
function kept(schema: Schema): Schema {
  const words = ["title", "description", "writeOnly", "examples"];
  return Object.fromEntries(
    words.filter((key) => schema[key] !== undefined).map((key) => [key, schema[key]]),
  );
}

/** The property's own title; that of a shared definition names its class, not this use of it. */
function titleOf(name: string, schema: Schema): string {
  const own = text(schema.title);
  const generated =
    own === null || own.replaceAll(" ", "").toLowerCase() === name.replaceAll("_", "").toLowerCase();
  return generated ? nameInWords(name) : own;
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
      return { kind: isLong(node) ? "long-text" : "text" };
    case "integer":
    case "number":
      return {
        kind: "number",
        whole: node.type === "integer",
        minimum: numeric(node.minimum),
        maximum: numeric(node.maximum),
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
  const items = isObject(node.items) ? resolved(node.items, root) : {};
  if (items.type === "string") return { kind: "texts" };
  return isObject(items.properties) ? { kind: "list", schema: items } : { kind: "json" };
}

function objectShape(node: Schema, root: Schema): object {
  if (isObject(node.properties)) return { kind: "group", schema: node };
  const patterns = isObject(node.patternProperties) ? Object.values(node.patternProperties) : [];
  const values = [node.additionalProperties, ...patterns]
    .filter(isObject)
    .map((value) => resolved(value, root));
  const plain = values.length === 1 && isScalar(values[0]!);
  return plain ? { kind: "map", secret: isSecret(values[0]!) } : { kind: "json" };
}

const SCALARS: unknown[] = ["string", "integer", "number", "boolean"];

function isScalar(schema: Schema): boolean {
  return (
    SCALARS.includes(schema.type) || (alternatives(schema).length > 0 && alternatives(schema).every(isScalar))
  );
}

function alternatives(node: Schema): Schema[] {
  const found = node.anyOf ?? node.oneOf;
  return Array.isArray(found) ? found.filter(isObject) : [];
}

function unionOption(option: Schema, root: Schema): UnionOption {
  const constant = Object.entries(constantsOf(option, root))[0];
  const marker = constant ? { name: constant[0], value: constant[1] } : null;
  const title = text(option.title);
  const named = title?.includes(" ") ? title : nameInWords(String(marker?.value ?? title ?? "Option"));
  return { title: named, schema: option, marker };
}

/** The option that `value` belongs to, by its marker; -1 when it belongs to none. */
export function optionOf(value: unknown, options: UnionOption[]): number {
  if (!isObject(value)) return -1;
  return options.findIndex(({ marker }) => marker === null || value[marker.name] === marker.value);
}

/** The properties of an object that have a constant value, which nobody is asked for. */
export function constantsOf(schema: Schema, root: Schema): Config {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const constants = Object.entries(properties)
    .map(([name, property]) => [name, isObject(property) ? resolved(property, root) : {}] as const)
    .filter(([, property]) => "const" in property);
  return Object.fromEntries(constants.map(([name, property]) => [name, property.const]));
}

function isSecret(schema: Schema): boolean {
  return schema.writeOnly === true || schema.format === "password";
}

/** A stored secret, as the server shows it: `{"set": true, "last4": "1234"}`. */
export function isSetMarker(value: unknown): value is { set: boolean; last4?: string } {
  return (
    isObject(value) &&
    typeof value.set === "boolean" &&
    Object.keys(value).every((key) => key === "set" || key === "last4")
  );
}

/** `value` without what was left empty: the server's defaults apply there. */
export function pruned(value: Config): Config {
  const entries = Object.entries(value).map(([key, inner]) => [key, prunedValue(inner)] as const);
  return Object.fromEntries(entries.filter(([, inner]) => !isEmpty(inner)));
}

function prunedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(prunedValue);
  return isObject(value) && !isSetMarker(value) ? pruned(value) : value;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === "" || (isObject(value) && Object.keys(value).length === 0);
}

/** Text in a JSON field that is not valid JSON yet. It blocks the form and is never sent. */
export class Unfinished {
  constructor(readonly text: string) {}
}

/** Names of required fields that are still empty, and of unfinished ones, as paths below `path`. */
export function missing(schema: Schema, root: Schema, value: Config, path = ""): string[] {
  return fieldsOf(schema, root).flatMap(({ name, required, schema: inner }) => {
    const here = path ? `${path}.${name}` : name;
    const shape = shapeOf(name, inner, root);
    const given = value[name];
    if (given instanceof Unfinished) return [here];
    if (shape.kind === "group" && (required || isObject(given))) {
      return missing(shape.schema, root, isObject(given) ? given : {}, here);
    }
    if (shape.kind === "union" && isObject(given)) {
      const option = shape.options[optionOf(given, shape.options)];
      return option ? missing(option.schema, root, given, here) : [here];
    }
    if (shape.kind === "list" && Array.isArray(given) && given.length > 0) {
      return given.flatMap((item: unknown, index) =>
        missing(shape.schema, root, isObject(item) ? item : {}, `${here}.${index}`),
      );
    }
    const empty = given === undefined || given === "" || (given === null && !shape.nullable);
    return required && empty && shape.fallback === undefined ? [here] : [];
  });
}

function allTexts(options: Schema[]): boolean {
  return options.every(
    (option) => option.type === "string" || option.const !== undefined || Array.isArray(option.enum),
  );
}

const LONG = 5_000; // characters: a certificate, a query

function isLong(node: Schema): boolean {
  return node.format === "textarea" || (numeric(node.maxLength) ?? 0) >= LONG;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function numeric(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
