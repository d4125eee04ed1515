import { expect, it } from "vitest";
import { OfflineError, ProblemError } from "@/api/problem";
import { worthRetrying } from "./query-client";

it("only what may pass by itself is tried again", () => {
  expect(worthRetrying(0, new OfflineError())).toBe(true);
  expect(worthRetrying(0, new ProblemError(503, null))).toBe(true);
  expect(worthRetrying(0, new ProblemError(429, null))).toBe(true);
  expect(worthRetrying(0, new ProblemError(404, null))).toBe(false);
  expect(worthRetrying(3, new OfflineError())).toBe(false);
});
