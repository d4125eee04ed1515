import type { AlertChannel } from "@/api/types";
import { WEEKDAYS, weekdayName, type Weekday } from "@/format/blackouts";
import { browserTimeZone } from "@/format/time";

export type Timing = AlertChannel["timing"];
export type TimingKind = Timing["kind"];
export type QuietPeriod = NonNullable<Timing["periods"]>[number];

const AT_ONCE = "At once";

/** The choices in words. */
export function timingWords(hasDigest: boolean): Partial<Record<TimingKind, string>> {
  return {
    at_once: AT_ONCE,
    quiet_hours: "Not in quiet hours",
    ...(hasDigest && { digest: "Once a day or week" }),
  };
}

export const NIGHT: QuietPeriod = { weekdays: WEEKDAYS, start: "22:00", end: "08:00" };

const WEEKEND: QuietPeriod = { weekdays: ["saturday", "sunday"], start: "00:00", end: "00:00" };
const LUNCH: QuietPeriod = { weekdays: WEEKDAYS.slice(0, 5), start: "12:00", end: "13:00" };

/** The next period to propose: one that does not repeat the others. */
export function nextPeriod(periods: QuietPeriod[]): QuietPeriod {
  const isTaken = (proposed: QuietPeriod) =>
    periods.some(({ start, end }) => start === proposed.start && end === proposed.end);
  return [NIGHT, WEEKEND].find((proposed) => !isTaken(proposed)) ?? LUNCH;
}

/** The timing with which the fields of a kind begin. */
export function freshTiming(kind: TimingKind, timezone = browserTimeZone()): Timing {
  if (kind === "quiet_hours") return { kind, timezone, periods: [NIGHT] };
  if (kind === "digest") return { kind, timezone, weekdays: WEEKDAYS, at: "08:00" };
  return { kind };
}

/** When a channel sends, in one sentence. */
export function timingInWords({ kind, timezone, periods, weekdays, at }: Timing): string {
  if (kind === "quiet_hours") {
    const parts = (periods ?? []).map((each) => `${daysInWords(each.weekdays)} ${each.start}–${each.end}`);
    return `Quiet: ${parts.join(", ")} (${timezone})`;
  }
  if (kind === "digest") return `One message: ${daysInWords(weekdays ?? [])} at ${at} (${timezone})`;
  return AT_ONCE;
}

function daysInWords(days: Weekday[]): string {
  const sorted = WEEKDAYS.filter((day) => days.includes(day));
  if (sorted.length === WEEKDAYS.length) return "every day";
  const [first, last] = [WEEKDAYS.indexOf(sorted[0]!), WEEKDAYS.indexOf(sorted.at(-1)!)];
  const short = sorted.map((day) => weekdayName(day).slice(0, 3));
  const isRow = sorted.length > 2 && last - first === sorted.length - 1;
  return isRow ? `${short[0]}–${short.at(-1)}` : short.join(", ");
}
