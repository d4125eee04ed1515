import { expect, it } from "vitest";
import type { Schema } from "./schema";
import { settingsInWords } from "./settings-in-words";

const SCHEMA: Schema = {
  type: "object",
  required: ["host"],
  properties: {
    schemas: { type: "array", items: { type: "string" }, title: "Schemas" },
    host: { type: "string", title: "Host" },
    password: { type: "string", writeOnly: true, title: "Password" },
    read_only: { type: "boolean", title: "Read-only" },
    headers: { type: "object", title: "Headers", additionalProperties: { type: "string", writeOnly: true } },
    auth: { title: "Login", oneOf: [{ $ref: "#/$defs/Key" }] },
  },
  $defs: {
    Key: {
      title: "A key",
      type: "object",
      properties: { kind: { const: "key" }, key: { type: "string", title: "Secret key", writeOnly: true } },
    },
  },
};

function textOf(config: Record<string, unknown>) {
  return Object.fromEntries(settingsInWords(SCHEMA, config).map(({ title, text }) => [title, text]));
}

it("each setting with a value is a line, the required ones first", () => {
  const lines = settingsInWords(SCHEMA, { schemas: ["a", "b"], host: "db.example.com", read_only: false });
  expect(lines).toEqual([
    { path: "host", title: "Host", text: "db.example.com" },
    { path: "schemas", title: "Schemas", text: "a, b" },
    { path: "read_only", title: "Read-only", text: "No" },
  ]);
});

it("a secret is never part of a line, neither a stored nor a typed one", () => {
  const config = {
    password: { set: true, last4: "9f2c" },
    headers: { "X-Key": "typed-canary" },
    auth: { kind: "key", key: "typed-canary" },
  };
  expect(textOf(config)).toEqual({
    Password: "Set, ends in 9f2c",
    "Headers: X-Key": "A new value",
    Login: "A key",
    "Login: Secret key": "A new value",
  });
});
