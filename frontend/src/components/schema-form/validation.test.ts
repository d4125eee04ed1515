import { describe, expect, it } from "vitest";
import { InvalidJson, type Config, type Schema } from "./schema";
import { missingFields, settingErrors } from "./validation";

const SECRET = { set: true, last4: "1234" };

/** A schema as pydantic generates it. */
const SCHEMA: Schema = {
  type: "object",
  required: ["base_url", "auth"],
  properties: {
    base_url: { type: "string", minLength: 1, maxLength: 20, pattern: "^https?://" },
    port: { type: "integer", minimum: 1, maximum: 65535, default: 443 },
    timeout: { anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }], default: null },
    path: { type: "string", pattern: "^[a-z.]*$", "x-pattern-message": "Only letters and dots." },
    server_pattern: { type: "string", pattern: "(?P<only_python>x)" },
    headers: {
      type: "object",
      patternProperties: { "^[a-z-]+$": { type: "string", maxLength: 5 } },
      additionalProperties: false,
    },
    schemas: { type: "array", items: { type: "string", minLength: 2 }, maxItems: 2 },
    filter: { type: "array", items: { type: "array" } },
    auth: { anyOf: [{ $ref: "#/$defs/Bearer" }, { $ref: "#/$defs/Basic" }] },
    tls: { allOf: [{ $ref: "#/$defs/Tls" }] },
    streams: { type: "array", items: { $ref: "#/$defs/Tls" }, maxItems: 3 },
  },
  $defs: {
    Tls: { type: "object", required: ["mode"], properties: { mode: { type: "string", maxLength: 3 } } },
    Bearer: {
      type: "object",
      required: ["type", "token"],
      properties: { type: { const: "bearer" }, token: { type: "string", writeOnly: true, minLength: 4 } },
    },
    Basic: {
      type: "object",
      required: ["type", "username"],
      properties: { type: { const: "basic" }, username: { type: "string" } },
    },
  },
};
const VALID: Config = { base_url: "https://a.b", auth: { type: "bearer", token: SECRET } };
const errorsOf = (changes: Config) => settingErrors(SCHEMA, { ...VALID, ...changes });

describe("settingErrors", () => {
  it("has a message for each required setting that is empty, also in groups, lists and the chosen option", () => {
    expect(missingFields(settingErrors(SCHEMA, {}))).toEqual(["base_url", "auth"]);
    expect(missingFields(errorsOf({ base_url: "", auth: { type: "bearer" }, tls: {} }))).toEqual([
      "base_url",
      "auth.token",
      "tls.mode",
    ]);
    expect(missingFields(errorsOf({ streams: [{ mode: "a" }, {}] }))).toEqual(["streams.1.mode"]);
    expect(errorsOf({})).toEqual({});
  });

  it.each<[Config, Record<string, string>]>([
    [{ base_url: "ftp://a" }, { base_url: "Must match ^https?://." }],
    [{ base_url: "https://a.very.long.name" }, { base_url: "At most 20 characters." }],
    [{ port: 0 }, { port: "Must be at least 1." }],
    [{ port: 65536 }, { port: "Must be at most 65535." }],
    [{ port: 1.5 }, { port: "Must be a whole number." }],
    [{ timeout: 0 }, { timeout: "Must be more than 0." }],
    [{ path: "a b" }, { path: "Only letters and dots." }],
    [{ auth: { type: "bearer", token: "abc" } }, { "auth.token": "At least 4 characters." }],
    [{ tls: { mode: "auto" } }, { "tls.mode": "At most 3 characters." }],
    [{ streams: [{ mode: "on" }, { mode: "auto" }] }, { "streams.1.mode": "At most 3 characters." }],
    [{ headers: { accept: "application" } }, { "headers.accept": "At most 5 characters." }],
    [{ headers: { "X Y": "a" } }, { "headers.X Y": "This name is not allowed." }],
    [{ schemas: ["ok", "x"] }, { "schemas.1": "At least 2 characters." }],
    [{ schemas: ["aa", "bb", "cc"] }, { schemas: "At most 2 entries." }],
    [{ filter: new InvalidJson("{") }, { filter: "This is not valid JSON." }],
  ])("%j has the message of the server", (changes, messages) => {
    expect(errorsOf(changes)).toEqual(messages);
  });

  it("accepts what fits, null for what is not set, and what only the server can check", () => {
    const emoji = "https://a.b/😀😀😀😀😀😀😀😀"; // 20 characters, as the server counts them
    expect(
      errorsOf({ base_url: emoji, timeout: null, server_pattern: "y", headers: { accept: SECRET } }),
    ).toEqual({});
  });
});
