import { describe, expect, it } from "vitest";
import { ROW_HEIGHT, RowLayout } from "./row-layout";

const NONE = new Map<number, number>();

describe("the layout of rows", () => {
  it("has room for the text of opened rows", () => {
    const layout = new RowLayout(10, new Map([[2, 100]]), 200);
    expect(layout.height).toBe(10 * ROW_HEIGHT + 100);
    expect([layout.top(2), layout.top(3)]).toEqual([40, 160]);
    const rows = [0, 39, 45, 159, 160, 181, 1e6].map((y) => layout.rowAt(y));
    expect(rows).toEqual([0, 1, 2, 2, 3, 4, 9]);
  });

  it.each([10, 1_000, 1_000_000, 30_000_000])("reaches the first and the last of %d rows", (count) => {
    const layout = new RowLayout(count, NONE, 400);
    expect(layout.rowAt(layout.listTop(0))).toBe(0);
    const end = Math.max(0, layout.elementHeight - 400);
    expect(layout.listTop(end) + 400).toBeCloseTo(Math.max(400, layout.height));
    expect(layout.elementHeight).toBeLessThanOrEqual(16_000_000);
  });

  it("shows a row where it scrolls to, also in a list that is higher than an element may be", () => {
    const layout = new RowLayout(5_000_000, NONE, 400);
    const scrollTop = layout.scrollTop(layout.top(4_321_000));
    expect(layout.rowAt(layout.listTop(scrollTop) + 1)).toBe(4_321_000);
    expect(layout.elementTop(4_321_000, scrollTop)).toBeCloseTo(scrollTop);
  });
});
