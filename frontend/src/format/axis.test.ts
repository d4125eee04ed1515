import { describe, expect, it } from "vitest";
import { axisMarks } from "./axis";
import { formatDuration } from "./duration";

describe("the marks of an axis", () => {
  it.each([
    [0, [0, 1]],
    [1, [0, 1]],
    [3, [0, 1, 2, 3]],
    [4, [0, 2, 4]],
    [336_776, [0, 200_000, 400_000]],
    [26_115, [0, 10_000, 20_000, 30_000]],
    [1_000, [0, 500, 1_000]],
  ])("of %d things are whole numbers in steps of 1, 2 or 5", (greatest, marks) => {
    expect(axisMarks(greatest, "count", 3)).toEqual(marks);
  });

  it.each([
    [0, ["0 s", "1 s"]],
    [0.04, ["0 s", "20 ms", "40 ms"]],
    [3.6, ["0 s", "2 s", "4 s"]],
    [75, ["0 s", "30 s", "1 min", "1 min 30 s"]],
    [3700, ["0 s", "30 min", "1 h", "1 h 30 min"]],
    [100_000, ["0 s", "12 h", "1 d", "1 d 12 h"]],
  ])("of %d seconds are round in their unit", (greatest, marks) => {
    const words = axisMarks(greatest, "seconds", 3).map((seconds) =>
      formatDuration(seconds).replace(/\u00a0/g, " "),
    );
    expect(words).toEqual(marks);
  });

  it("reach the greatest value with at most as many steps as have room", () => {
    for (let greatest = 0.001; greatest < 1e9; greatest *= 1.37)
      for (const unit of ["count", "seconds"] as const) {
        const marks = axisMarks(greatest, unit, 3);
        expect(marks.at(-1)).toBeGreaterThanOrEqual(greatest * (1 - 1e-6));
        expect(marks.length).toBeLessThanOrEqual(4);
      }
  });
});
