import { expect, it } from "vitest";
import { momentsOf, parseDays } from "./days";

it("days in the URL are read, and anything else is ignored", () => {
  expect(parseDays({ since: "2026-03-01", until: "soon", page: 2 })).toEqual({ since: "2026-03-01" });
  expect(parseDays({ since: "2026-13-01", until: 2026 })).toEqual({});
});

it("the last day is included", () => {
  const { since, until } = momentsOf({ since: "2026-03-01", until: "2026-03-01" });
  expect((Date.parse(until!) - Date.parse(since!)) / 3_600_000).toBe(24);
  expect(new Date(since!).getHours()).toBe(0);
});
