import { expect, it } from "vitest";
import { parseConnectorFilter } from "./filter";

it("the filter in the URL keeps a text and a role", () => {
  expect(parseConnectorFilter({ q: 2024, role: "source" })).toEqual({ q: "2024", role: "source" });
});

it("unknown parameters and wrong values do not break the list", () => {
  expect(parseConnectorFilter({ q: ["a"], role: "both", page: 3 })).toEqual({});
});
