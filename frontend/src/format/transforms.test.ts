import { expect, it } from "vitest";
import { transformsOf } from "./transforms";

it("returns one Python transform for code and no transform for blank text", () => {
  expect(transformsOf("def transform(r):\n    return r\n")).toEqual([
    { kind: "python", code: "def transform(r):\n    return r\n" },
  ]);
  expect(transformsOf("  \n")).toEqual([]);
});
