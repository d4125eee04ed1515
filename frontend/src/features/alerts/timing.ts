import type { AlertChannel } from "@/api/types";
import { WEEKDAYS, weekdayName, type Weekday } from "@/format/blackouts";
import { browserTimeZone } from "@/format/time";

export type Timing = AlertChannel["timing"];
export type TimingKind = Timing["kind"];
export type QuietPeriod = NonNullable<Timing["periods"]>[number];

export const TIMING_WORDS: Record<TimingKind, string> = {
  at_once: "At once",
  quiet_hours: "Not in quiet hours",
  digest: "Once a day or week",
};

export const NIGHT: QuietPeriod = { weekdays: WEEKDAYS, start: "22:00", end: "08:00" };

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
  return TIMING_WORDS.at_once;
}

function daysInWords(days: Weekday[]): string {
  const sorted = WEEKDAYS.filter((day) => days.includes(day));
  if (sorted.length === WEEKDAYS.length) return "every day";
  const [first, last] = [WEEKDAYS.indexOf(sorted[0]!), WEEKDAYS.indexOf(sorted.at(-1)!)];
  const short = sorted.map((day) => weekdayName(day).slice(0, 3));
  const isRow = sorted.length > 2 && last - first === sorted.length - 1;
  return isRow ? `${short[0]}–${short.at(-1)}` : short.join(", ");
}
