/** What the values of an axis are: things that are counted, or a time in seconds. */
export type AxisUnit = "count" | "seconds";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Steps from one second to a week that are round in minutes, hours or days. */
const TIME_STEPS = [
  ...[1, 2, 5, 10, 20, 30],
  ...[1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 4, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100].map((days) => days * DAY),
];

/** Returns the marks of an axis from 0 to at least the greatest value, with at most `maxSteps` round steps. */
export function axisMarks(greatest: number, unit: AxisUnit, maxSteps: number): number[] {
  const step = leastStep(Math.max(greatest, 0) / Math.max(1, maxSteps), unit);
  const count = Math.max(1, Math.ceil(greatest / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** The least round step that is not below this one. Things are not counted in parts. */
function leastStep(least: number, unit: AxisUnit): number {
  if (unit === "count") return least <= 1 ? 1 : roundStep(least);
  if (least <= 0) return 1;
  return least < 1 ? roundStep(least) : (TIME_STEPS.find((step) => step >= least) ?? roundStep(least));
}

/** 1, 2 or 5 times a power of ten. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10);
}
