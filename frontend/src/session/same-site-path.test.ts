import { expect, it } from "vitest";
import { isSameSitePath } from "./same-site-path";

const SITE = "https://drover.test";

it.each(["/", "/runs?status=failed#log", "/pipelines/p1", "/.//evil.test", "/%09/evil.test"])(
  "accepts the path %j",
  (path) => {
    expect(isSameSitePath(path)).toBe(true);
    expect(new URL(path, SITE).origin).toBe(SITE);
  },
);

it.each([
  "//evil.test",
  "/\\evil.test",
  "/\t/evil.test",
  "/\n\\evil.test",
  "/\r/evil.test",
  "\t//evil.test",
  "https://evil.test",
  "javascript:alert(1)",
])("refuses %j, which leads to another site", (path) => {
  expect(isSameSitePath(path)).toBe(false);
  expect(new URL(path, SITE).origin).not.toBe(SITE);
});
