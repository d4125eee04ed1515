import { describe, expect, it } from "vitest";
import {
  constantsOf,
  fieldsOf,
  keptConfig,
  isMaskedSecret,
  optionIndex,
  withoutEmptyFields,
  shapeOf,
  type Schema,
} from "./schema";

/** A schema as pydantic generates it: optional fields are anyOf with null, nested models are $ref, and each option of a union has a constant. */
const REST: Schema = {
  type: "object",
  required: ["base_url", "auth"],
  properties: {
    page_size: { type: "integer", default: 100, minimum: 1, maximum: 1000, title: "Page size" },
    base_url: { type: "string", format: "uri" },
    token: { type: "string", writeOnly: true },
    refresh_token: {
      anyOf: [{ type: "string", format: "password", writeOnly: true }, { type: "null" }],
      default: null,
    },
    timeout: { anyOf: [{ type: "number", minimum: 0 }, { type: "null" }], default: null },
    compression: { $ref: "#/$defs/Compression", default: "zstd" },
    auth: { anyOf: [{ $ref: "#/$defs/Bearer" }, { $ref: "#/$defs/Basic" }], title: "Authentication" },
    headers: { type: "object", additionalProperties: { type: "string" } },
    tls: { allOf: [{ $ref: "#/$defs/Tls" }], description: "How to encrypt" },
    fields: { type: "array", items: { type: "string" } },
    streams: { type: "array", items: { $ref: "#/$defs/Tls" } },
    params: { type: "object", additionalProperties: { anyOf: [{ type: "string" }, { type: "integer" }] } },
    cookies: { type: "object", patternProperties: { "^[a-z]+$": { type: "string" } } },
    proxy: { anyOf: [{ $ref: "#/$defs/Tls" }, { type: "null" }], default: null },
    certificate: { anyOf: [{ type: "string", maxLength: 100000 }, { type: "null" }], default: null },
    matrix: { type: "array", items: { type: "array" } },
    max_response_mb: { type: "integer", title: "Max Response Mb", examples: [64] },
    verify: { type: "boolean", default: true },
    kind: { const: "rest" },
  },
  $defs: {
    Compression: { enum: ["zstd", "none"], type: "string" },
    Tls: {
      type: "object",
      required: ["mode"],
      properties: { mode: { type: "string" }, ca: { type: "string" } },
    },
    Bearer: {
      title: "Bearer token",
      type: "object",
      required: ["type", "token"],
      properties: { type: { const: "bearer" }, token: { type: "string", writeOnly: true } },
    },
    Basic: {
      type: "object",
      required: ["type", "username"],
      properties: { type: { const: "basic_auth" }, username: { type: "string" } },
    },
  },
};

const shape = (name: string) => shapeOf(name, (REST.properties as Record<string, Schema>)[name]!, REST);

describe("the fields of a settings schema", () => {
  it("fieldsOf returns required fields first and omits constants", () => {
    const names = fieldsOf(REST, REST).map(({ name }) => name);
    expect(names.slice(0, 3)).toEqual(["base_url", "auth", "page_size"]);
    expect(names).not.toContain("kind");
  });

  it.each([
    ["base_url", "text"],
    ["page_size", "number"],
    ["token", "secret"],
    ["refresh_token", "secret"],
    ["timeout", "number"],
    ["compression", "choice"],
    ["auth", "union"],
    ["headers", "map"],
    ["tls", "group"],
    ["fields", "texts"],
    ["streams", "list"],
    ["params", "map"],
    ["cookies", "map"],
    ["proxy", "union"],
    ["certificate", "long-text"],
    ["matrix", "json"],
    ["verify", "switch"],
  ])("shapeOf returns for %s the kind %s", (name, kind) => {
    expect(shape(name).kind).toBe(kind);
  });

  it("keptConfig leaves out the secret values of a map, and keeps the others", () => {
    const scalar = { anyOf: [{ type: "string" }, { type: "integer" }] };
    const schema = {
      type: "object",
      properties: {
        headers: { type: "object", patternProperties: { "^[a-z]+$": { type: "string", writeOnly: true } } },
        params: {
          type: "object",
          additionalProperties: scalar,
          patternProperties: { "[Kk]ey$": { type: ["string", "integer"], writeOnly: true } },
        },
      },
    };
    const value = { headers: { accept: "a" }, params: { page: 1, key: "typed" } };
    expect(keptConfig(schema, value)).toEqual({ headers: undefined, params: { page: 1, key: undefined } });
  });

  it("shapeOf uses the name if there is no title, and allows null for optional values", () => {
    expect(shape("base_url").title).toBe("Base URL");
    expect(shape("auth").title).toBe("Authentication");
    expect(shape("max_response_mb")).toMatchObject({ title: "Max response MB", example: "64" });
    expect(shape("proxy").title).toBe("Proxy");
    expect(shape("tls").description).toBe("How to encrypt");
    expect(shape("timeout").nullable).toBe(true);
    expect(shape("page_size")).toMatchObject({
      integer: true,
      minimum: 1,
      maximum: 1000,
      defaultValue: 100,
      nullable: false,
    });
  });

  it("optionIndex finds the option of a union by its constant", () => {
    const auth = shape("auth");
    if (auth.kind !== "union") throw new Error("not a union");
    expect(auth.options.map(({ title }) => title)).toEqual(["Bearer token", "Basic auth"]);
    expect(constantsOf(auth.options[1]!.schema, REST)).toEqual({ type: "basic_auth" });
    expect(optionIndex({ type: "basic_auth", username: "x" }, auth.options)).toBe(1);
    expect(optionIndex(undefined, auth.options)).toBe(-1);
  });

  it("withoutEmptyFields removes empty values, but not false, zero, null and stored secrets", () => {
    const secret = { set: true, last4: "1234" };
    expect(
      withoutEmptyFields({
        a: "",
        b: undefined,
        c: false,
        d: 0,
        e: null,
        tls: { ca: "", mode: "on" },
        proxy: { ca: "" },
        list: [{ a: "" }],
        token: secret,
      }),
    ).toEqual({
      c: false,
      d: 0,
      e: null,
      tls: { mode: "on" },
      list: [{}],
      token: secret,
    });
  });

  it("isMaskedSecret accepts a masked secret and rejects an object with other keys", () => {
    expect(isMaskedSecret({ set: true, last4: "1234" })).toBe(true);
    expect(isMaskedSecret({ set: false })).toBe(true);
    expect(isMaskedSecret({ set: true, other: 1 })).toBe(false);
    expect(isMaskedSecret("set")).toBe(false);
  });

  it("shapeOf returns a JSON field for an unknown reference", () => {
    expect(shapeOf("x", { $ref: "#/$defs/Missing" }, REST).kind).toBe("json");
  });
});
