import { describe, expect, it } from "vitest";
import { steadyStep, TimeLeft, type Step } from "./time-left";

const START = Date.parse("2026-03-01T06:00:00Z");
const TOTAL = 336_776;

/** Progress each second, as it was recorded of a run that publishes batches: nothing for some seconds, then many records. */
function recorded(seconds: number): { read: number; total: number; at: number }[] {
  const bursts = [7, 9, 5, 8, 11, 6, 8]; // seconds between batches
  const samples = [];
  let [read, next, burst] = [0, bursts[0]!, 0];
  for (let second = 1; second <= seconds; second += 1) {
    if (second === next) {
      read += 15_000 + ((second * 7919) % 9_000);
      burst += 1;
      next += bursts[burst % bursts.length]!;
    }
    samples.push({ read: Math.min(read, TOTAL), total: TOTAL, at: START + second * 1000 });
  }
  return samples;
}

/** The seconds that a text stands for. */
function secondsOf(text: string): number {
  if (text.startsWith("a few")) return 5;
  const [count, unit] = text.split("\u00a0");
  return Number(count) * { s: 1, min: 60, h: 3600 }[unit as "s" | "min" | "h"];
}

describe("the time left", () => {
  it("does not jump while a run reads batch after batch", () => {
    const timeLeft = new TimeLeft(START);
    const texts = recorded(100).flatMap((sample) => timeLeft.update(sample) ?? []);
    const changes = texts.filter((text, index) => text !== texts[index - 1]).slice(2); // after the first batches
    const seconds = changes.map(secondsOf);
    // Each step leads to a neighbour: never from about two minutes to a few seconds and back.
    for (const [index, value] of seconds.entries()) {
      if (index === 0) continue;
      const ratio = value / seconds[index - 1]!;
      expect(ratio, changes.join(", ")).toBeGreaterThan(0.3);
      expect(ratio, changes.join(", ")).toBeLessThan(2.1);
    }
    expect(changes.length).toBeLessThan(12);
  });

  it("is near the truth although the page was opened in the middle of the run", () => {
    const timeLeft = new TimeLeft(START);
    // 60 seconds for a half: another 60 seconds remain.
    expect(timeLeft.update({ read: 50_000, total: 100_000, at: START + 60_000 })).toBe("1\u00a0min");
  });

  it("does not fall to a few seconds because of one fast second", () => {
    const timeLeft = new TimeLeft(START);
    timeLeft.update({ read: 60_000, total: 1_000_000, at: START + 60_000 }); // 1,000 each second: 16 minutes
    const text = timeLeft.update({ read: 120_000, total: 1_000_000, at: START + 61_000 });
    expect(secondsOf(text!)).toBeGreaterThanOrEqual(5 * 60);
  });

  it("is unknown without a total, and if there are more records than expected", () => {
    const timeLeft = new TimeLeft(START);
    expect(timeLeft.update({ read: 10, total: null, at: START + 1000 })).toBeNull();
    expect(timeLeft.update({ read: 30, total: 20, at: START + 2000 })).toBeNull();
  });

  it("starts again when a new attempt begins from the last checkpoint", () => {
    const timeLeft = new TimeLeft(START);
    timeLeft.update({ read: 900, total: 1000, at: START + 9_000 });
    expect(timeLeft.update({ read: 0, total: 1000, at: START + 10_000 })).toBeNull();
  });
});

describe("the step of a duration", () => {
  it("stays while the duration goes back and forth around its end, and changes when it leaves it clearly", () => {
    let shown: Step | null = null;
    const texts = [92, 88, 91, 87, 70, 92].map((seconds) => (shown = steadyStep(seconds, shown)).text);
    expect(texts).toEqual([
      "2\u00a0min",
      "2\u00a0min",
      "2\u00a0min",
      "2\u00a0min",
      "1\u00a0min",
      "1\u00a0min",
    ]);
  });
});
