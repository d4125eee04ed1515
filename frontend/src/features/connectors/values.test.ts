import { describe, expect, it } from "vitest";
import { isSame } from "@/components/schema-form/merge-patch";
import type { Schema } from "@/components/schema-form/schema";
import { changedFields, compare, mergeValues } from "@/format/merge";
import { changesOf, fieldsOf, settingFields, valuesOfFields, type ConnectorValues } from "./values";

const PASSWORD = { set: true, last4: "9f2c" };
const BASE: ConnectorValues = {
  name: "Shop",
  description: "",
  domainId: null,
  config: {
    host: "db.example.com",
    port: 5432,
    password: PASSWORD,
    auth: { type: "bearer", token: PASSWORD },
  },
};

function withField(values: ConnectorValues, field: string, value: unknown): ConnectorValues {
  return valuesOfFields({ ...fieldsOf(values, {}), [field]: value });
}

describe("changesOf", () => {
  it("contains only what was changed, and never a secret that was kept", () => {
    const after = { ...BASE, name: "Store ", config: { ...BASE.config, port: 5433 } };
    expect(changesOf(BASE, after)).toEqual({ name: "Store", config: { port: 5433 } });
  });

  it("is empty if nothing was changed, also if a field was filled in and emptied again", () => {
    expect(changesOf(BASE, { ...BASE, config: { ...BASE.config, schemas: "", options: {} } })).toEqual({});
  });

  it("replaces a secret by the typed value, and removes one whose field was emptied", () => {
    expect(changesOf(BASE, withField(BASE, "config.password", "new"))).toEqual({
      config: { password: "new" },
    });
    expect(changesOf(BASE, withField(BASE, "config.password", ""))).toEqual({ config: { password: null } });
  });

  it("removes the settings of an option that is no longer chosen", () => {
    const after = withField(BASE, "config.auth", { type: "basic", user: "ada" });
    expect(changesOf(BASE, after)).toEqual({ config: { auth: { type: "basic", user: "ada", token: null } } });
  });
});

describe("fieldsOf", () => {
  const schema: Schema = { type: "object", properties: { host: {}, port: {}, schemas: {} } };

  it("has each setting as a field, also one without a value, and is undone by valuesOfFields", () => {
    const fields = fieldsOf(BASE, schema);
    expect(fields).toMatchObject({ name: "Shop", domain_id: null, "config.port": 5432 });
    expect("config.schemas" in fields).toBe(true);
    expect(valuesOfFields(fields)).toEqual(BASE);
  });

  it("changes no setting that is only empty instead of missing", () => {
    const fields = fieldsOf(BASE, schema);
    expect(changedFields(fields, { ...fields, "config.schemas": "" }, isSame)).toEqual([]);
  });

  it("keeps the user's value of a setting that somebody else has removed", () => {
    const mine = fieldsOf(withField(BASE, "config.port", 6000), schema);
    const saved = fieldsOf(withField(BASE, "config.port", undefined), schema);
    expect(compare(fieldsOf(BASE, schema), mine, saved, isSame).conflicts).toEqual(["config.port"]);
    const merged = mergeValues(fieldsOf(BASE, schema), mine, saved, new Set(), isSame);
    expect(valuesOfFields(merged).config).toMatchObject({ port: 6000 });
  });
});

describe("settingFields", () => {
  it("names the settings that were removed", () => {
    expect(settingFields({ host: "a", auth: {} }, { host: "b" })).toEqual({
      "config.host": "b",
      "config.auth": undefined,
    });
  });
});
