import { expect, it } from "vitest";
import type { CustomSource } from "@/api/types";
import { openedAfterFetch, openNewest } from "./opened-version";

function source(version: number, code: string) {
  return { latest_version: version, version: { code } } as CustomSource;
}

it("an open source shows a version that was saved meanwhile", () => {
  const opened = openedAfterFetch(openNewest(source(1, "old")), source(2, "new"));
  expect(opened).toEqual({ version: 2, savedCode: "new", code: "new" });
});

it("code that the user has changed stays in the editor", () => {
  const changed = { ...openNewest(source(1, "old")), code: "mine" };
  expect(openedAfterFetch(changed, source(2, "new"))).toBe(changed);
});

it("nothing changes while no newer version is fetched", () => {
  const opened = openNewest(source(2, "new"));
  expect(openedAfterFetch(opened, source(2, "new"))).toBe(opened);
  expect(openedAfterFetch(opened, source(1, "old"))).toBe(opened);
});
