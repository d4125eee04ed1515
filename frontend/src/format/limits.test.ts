import { describe, expect, it } from "vitest";
import { limitsOf, percentOf, shareOf, streamLimits, STRICT_LIMITS } from "./limits";

describe("limits", () => {
  it("are strict if the stream stores none", () => {
    expect(limitsOf({})).toEqual(STRICT_LIMITS);
    expect(limitsOf(undefined)).toEqual(STRICT_LIMITS);
  });

  it("are sent as they were stored", () => {
    const stored = { allow_empty: true, max_rejected_share: 0.07 };
    expect(streamLimits(limitsOf(stored))).toEqual(stored);
  });

  it.each([
    ["7", 0.07],
    ["0.7", 0.007],
    ["100", 1],
    ["250", 1],
    ["-1", 0],
    ["", 0],
    ["x", 0],
  ])("reads %j percent as %f", (percent, share) => {
    expect(shareOf(percent)).toBe(share);
  });

  it("shows every percentage that was typed", () => {
    for (const percent of [0, 0.0001, 0.7, 1, 7, 29, 57, 99.9, 100])
      expect(percentOf(shareOf(String(percent)))).toBe(percent);
  });
});
