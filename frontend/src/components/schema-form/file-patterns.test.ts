import { expect, it } from "vitest";
import { suggestPatterns } from "./file-patterns";

it("files that differ in their digits have a pattern", () => {
  const names = ["orders-2026-01.csv", "orders-2026-02.csv", "airports.csv", "log1.jsonl"];
  expect(suggestPatterns(names)).toEqual(["orders-*.csv"]);
});

it("files that differ in other characters have none", () => {
  expect(suggestPatterns(["a.csv", "b.csv"])).toEqual([]);
});
