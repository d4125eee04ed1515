import { expect, it } from "vitest";
import { transformsOf } from "./definition";

it("a transform is sent as Python and blank text as none", () => {
  expect(transformsOf("def transform(r):\n    return r\n")).toEqual([
    { kind: "python", code: "def transform(r):\n    return r\n" },
  ]);
  expect(transformsOf("  \n")).toEqual([]);
});
