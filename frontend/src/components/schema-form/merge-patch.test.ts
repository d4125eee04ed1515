import { expect, it } from "vitest";
import { mergePatch } from "./merge-patch";

it("a merge patch goes into groups, replaces lists, and leaves out what has not changed", () => {
  const before = { auth: { type: "basic", user: "a" }, list: [1, 2], port: 1 };
  expect(mergePatch(before, { auth: { type: "bearer" }, list: [1], port: 1 })).toEqual({
    auth: { type: "bearer", user: null },
    list: [1],
  });
});

it("a merge patch replaces a stored secret as a whole", () => {
  const before = { password: { set: true, last4: "abcd" } };
  expect(mergePatch(before, { password: "new" })).toEqual({ password: "new" });
  expect(mergePatch(before, before)).toEqual({});
});
