import { describe, expect, it } from "vitest";
import { changesOf, mergeValues, withField, type ConnectorValues } from "./values";

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

describe("mergeValues", () => {
  it("keeps what the user has typed and takes what only the other person has changed", () => {
    const mine = withField(BASE, "config.port", 6000);
    const theirs = withField(BASE, "name", "Store");
    expect(mergeValues(BASE, mine, theirs)).toEqual({
      values: withField(theirs, "config.port", 6000),
      conflicts: [],
      taken: ["name"],
    });
  });

  it("names each field that both have changed, with both values, and keeps the user's value", () => {
    const mine = withField(withField(BASE, "config.port", 6000), "config.password", "typed");
    const stored = { set: true, last4: "0000" };
    const theirs = withField(withField(BASE, "config.port", 7000), "config.password", stored);
    const merged = mergeValues(BASE, mine, theirs);
    expect(merged.conflicts).toEqual([
      { field: "config.port", mine: 6000, theirs: 7000 },
      { field: "config.password", mine: "typed", theirs: stored },
    ]);
    expect(merged.values).toEqual(mine);
  });

  it("does not ask if both have made the same change", () => {
    const changed = withField(BASE, "config.port", 6000);
    expect(mergeValues(BASE, changed, changed)).toEqual({ values: changed, conflicts: [], taken: [] });
  });

  it("takes a setting that the other person has removed", () => {
    const theirs = withField(BASE, "config.auth", undefined);
    expect(mergeValues(BASE, BASE, theirs).values.config).not.toHaveProperty("auth");
  });
});
