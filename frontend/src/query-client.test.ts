import { expect, it } from "vitest";
import { OfflineError, ProblemError } from "@/api/problem";
import { shouldRetry } from "./query-client";

it("retries after network errors, 5xx and 429, only once", () => {
  expect(shouldRetry(0, new OfflineError())).toBe(true);
  expect(shouldRetry(0, new ProblemError(503, null))).toBe(true);
  expect(shouldRetry(0, new ProblemError(429, null))).toBe(true);
  expect(shouldRetry(0, new ProblemError(404, null))).toBe(false);
  expect(shouldRetry(1, new OfflineError())).toBe(false);
});
