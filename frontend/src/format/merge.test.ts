import { describe, expect, it } from "vitest";
import { changedFields, compare, mergeValues } from "./merge";

const base = { name: "Flights", tags: "daily", table: "flights", source: { host: "a", port: 1 } };
const mine = { ...base, name: "My flights", tags: "hourly" };
const saved = { ...base, name: "All flights", table: "all_flights" };

describe("when somebody else has saved meanwhile", () => {
  it("only fields that both have changed are in conflict", () => {
    expect(compare(base, mine, saved)).toEqual({ conflicts: ["name"], theirs: ["table"] });
  });

  it("the same change of both is no conflict", () => {
    expect(compare(base, saved, saved)).toEqual({ conflicts: [], theirs: [] });
  });

  it("the changes of both are kept, and of a conflict the chosen value", () => {
    const merged = { ...base, tags: "hourly", table: "all_flights" };
    expect(mergeValues(base, mine, saved, new Set())).toEqual({ ...merged, name: "My flights" });
    expect(mergeValues(base, mine, saved, new Set(["name"]))).toEqual({ ...merged, name: "All flights" });
  });

  it("a stream that was removed stays removed", () => {
    const rest = { name: base.name, tags: base.tags, source: base.source };
    expect(mergeValues(base, { ...base, table: "mine" }, rest, new Set())).toEqual(rest);
  });
});

it("the order of keys is no change", () => {
  expect(changedFields(base, { ...base, source: { port: 1, host: "a" } })).toEqual([]);
});
