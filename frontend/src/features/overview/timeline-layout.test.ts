import { describe, expect, it } from "vitest";
import type { RunStatus, TimelineRun } from "@/api/types";
import { barsOf, rowsOf, ticksOf } from "./timeline-layout";

const MINUTE = 60_000;
const NOW = Date.parse("2026-03-01T12:00:00Z");

/** A run that began this many minutes ago, and took so many. */
function run(
  startedAgo: number,
  minutes: number | null,
  status: RunStatus = "succeeded",
  pipeline = 0,
): TimelineRun {
  const start = NOW - startedAgo * MINUTE;
  return {
    id: `${pipeline} ${startedAgo}`,
    pipeline,
    status,
    start: new Date(start).toISOString(),
    end: minutes === null ? null : new Date(start + minutes * MINUTE).toISOString(),
    records: 1,
  };
}

function timeline(...runs: TimelineRun[]) {
  const pipelines = ["Orders", "Cities", "Bills"].map((name, index) => ({ id: String(index), name }));
  return { pipelines, runs, has_more: false };
}

describe("the rows", () => {
  it("begin with pipelines whose newest run failed, and go on with those that run", () => {
    const rows = rowsOf(
      timeline(
        run(5, null, "running", 0),
        run(50, 1, "failed", 0),
        run(20, 1, "succeeded", 0),
        run(60, 1, "succeeded", 1),
        run(9, 1, "cancelled", 2),
        run(10, 1, "failed", 2),
      ),
    );
    expect(rows.map(({ name }) => name)).toEqual(["Bills", "Orders", "Cities"]);
    expect(rows[1]!.runs.map(({ id }) => id)).toEqual(["0 50", "0 20", "0 5"]);
  });

  it("leave out pipelines without runs", () => {
    const all = timeline(run(5, 1, "succeeded", 0), run(5, 1, "succeeded", 1));
    expect(rowsOf(all).map(({ name }) => name)).toEqual(["Cities", "Orders"]);
  });
});

describe("the bars", () => {
  const span = { start: NOW - 100 * MINUTE, end: NOW };

  it("lie where the runs were, and live runs reach until now", () => {
    const bars = barsOf([run(80, 20), run(10, null, "running")], span, NOW, 0.001);
    expect(bars.map(({ left, right, isGrowing }) => [left, right, isGrowing])).toEqual([
      [0.2, 0.4, false],
      [0.9, 1, true],
    ]);
  });

  it("are joined if they would touch, and show the most urgent status", () => {
    const bars = barsOf([run(80, 1), run(79, 1, "failed"), run(78.5, 1), run(20, 1)], span, NOW, 0.02);
    expect(bars.map(({ runs, status }) => [runs.length, status])).toEqual([
      [3, "failed"],
      [1, "succeeded"],
    ]);
  });

  it("leave out runs outside the span, and cut those that reach into it", () => {
    const bars = barsOf(
      [run(300, 10), run(120, 40), run(50, 1)],
      { ...span, end: NOW - 60 * MINUTE },
      NOW,
      0.01,
    );
    expect(bars.map(({ left, right }) => [left, right])).toEqual([[0, 0.5]]);
  });
});

describe("the ticks", () => {
  it("are at whole hours or minutes, and not more than fit", () => {
    const day = ticksOf({ start: NOW - 24 * 60 * MINUTE, end: NOW }, 10);
    expect(day.length).toBeLessThanOrEqual(10);
    expect(day.every((tick) => new Date(tick).getMinutes() === 0)).toBe(true);
    const minutes = ticksOf({ start: NOW - 10 * MINUTE, end: NOW }, 10);
    expect(minutes.slice(0, 2)).toEqual([NOW - 10 * MINUTE, NOW - 9 * MINUTE]);
  });
});
