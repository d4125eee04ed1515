import { withUnit } from "@/format/number";

/** Seconds over which the rate is averaged. Batches arrive in bursts, so the newest rate alone would jump. */
const AVERAGED_SECONDS = 30;
/** An estimate has to leave the range of the shown one by this share before another is shown. */
const MARGIN = 0.15;

interface Sample {
  read: number;
  total: number | null;
  at: number; // milliseconds
}

/** Estimates the time left of a run from its progress. It is steady: the rate is an average over the last half minute. */
export class TimeLeft {
  private last: Sample | null = null;
  private rate: number | null = null; // records per second
  private shown: Step | null = null;

  /** `startedAt` is when the first record could be read, in milliseconds. */
  constructor(private readonly startedAt: number) {}

  /** Returns the time left in words after this progress, or null if nothing is known about it. */
  update(sample: Sample): string | null {
    this.updateRate(sample);
    const { read, total } = sample;
    if (total === null || read > total || !this.rate) return null;
    const seconds = (total - read) / this.rate;
    this.shown = steadyStep(seconds, this.shown);
    return this.shown.text;
  }

  private updateRate(sample: Sample): void {
    const before = this.last ?? { read: 0, total: null, at: this.startedAt };
    const seconds = (sample.at - before.at) / 1000;
    if (sample.read < before.read) this.rate = null; // a new attempt began
    if (seconds > 0) {
      const newest = Math.max(0, sample.read - before.read) / seconds;
      // The first rate is the average since the start, also if the page was opened late.
      const weight = this.rate === null ? 1 : 1 - Math.exp(-seconds / AVERAGED_SECONDS);
      this.rate = (this.rate ?? 0) * (1 - weight) + newest * weight;
    }
    if (seconds > 0 || !this.last) this.last = sample;
  }
}

/** A text for all durations between two numbers of seconds. */
export interface Step {
  from: number;
  to: number;
  text: string;
}

/** Returns the step that is shown, or another one if the duration has left it clearly. So the text does not go back and forth. */
export function steadyStep(seconds: number, shown: Step | null): Step {
  return shown && isNear(seconds, shown) ? shown : stepOf(seconds);
}

function isNear(seconds: number, { from, to }: Step): boolean {
  return seconds >= from * (1 - MARGIN) && seconds < to * (1 + MARGIN);
}

/** Names a duration in steps: `a few seconds`, `20 s`, `2 min`, `45 min`, `3 h`. */
function stepOf(seconds: number): Step {
  if (seconds < 10) return { from: 0, to: 10, text: "a few seconds" };
  if (seconds < 55) return step(seconds, 1, 10, "s");
  if (seconds < 9.5 * 60) return step(seconds, 60, 1, "min");
  if (seconds < 57.5 * 60) return step(seconds, 60, 5, "min");
  return step(seconds, 3600, 1, "h");
}

function step(seconds: number, unitSeconds: number, size: number, unit: string): Step {
  const count = Math.max(1, Math.round(seconds / unitSeconds / size)) * size;
  const half = (size * unitSeconds) / 2;
  const middle = count * unitSeconds;
  return { from: middle - half, to: middle + half, text: withUnit(count, unit) };
}
