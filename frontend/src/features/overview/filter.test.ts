import { expect, it } from "vitest";
import { parseOverviewFilter } from "./filter";

it("takes over known parameters and ignores the others", () => {
  expect(parseOverviewFilter({ q: 2024, status: "failed", hours: 6, page: 3 })).toEqual({
    q: "2024",
    status: "failed",
    hours: 6,
  });
  expect(parseOverviewFilter({ q: "", status: "asleep", hours: 7 })).toEqual({});
});

it("a part between two times replaces the last hours, if it is one", () => {
  const [from, to] = ["2026-03-01T06:00:00.000Z", "2026-03-01T07:00:00.000Z"];
  expect(parseOverviewFilter({ from, to, hours: 1 })).toEqual({ from, to });
  expect(parseOverviewFilter({ from: to, to: from, hours: 1 })).toEqual({ hours: 1 });
  expect(parseOverviewFilter({ from: "yesterday", to })).toEqual({});
});
