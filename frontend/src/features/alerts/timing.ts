import type { AlertChannel } from "@/api/types";
import { browserTimeZone } from "@/format/time";

export type Timing = AlertChannel["timing"];
export type TimingKind = Timing["kind"];
export type QuietPeriod = NonNullable<Timing["periods"]>[number];
export type Day = QuietPeriod["days"][number];

export const TIMING_WORDS: Record<TimingKind, string> = {
  at_once: "At once",
  quiet_hours: "Not in quiet hours",
  digest: "Once a day or week",
};

export const DAY_WORDS: Record<Day, string> = {
  mon: "Monday",
  tue: "Tuesday",
  wed: "Wednesday",
  thu: "Thursday",
  fri: "Friday",
  sat: "Saturday",
  sun: "Sunday",
};

export const DAYS = Object.keys(DAY_WORDS) as Day[];
export const NIGHT: QuietPeriod = { days: DAYS, start: "22:00", end: "08:00" };

/** The timing with which the fields of a kind begin. */
export function freshTiming(kind: TimingKind, timezone = browserTimeZone()): Timing {
  if (kind === "quiet_hours") return { kind, timezone, periods: [NIGHT] };
  if (kind === "digest") return { kind, timezone, days: DAYS, at: "08:00" };
  return { kind };
}

/** When a channel sends, in one sentence. */
export function timingInWords({ kind, timezone, periods, days, at }: Timing): string {
  if (kind === "quiet_hours") {
    const parts = (periods ?? []).map((each) => `${daysInWords(each.days)} ${each.start}–${each.end}`);
    return `Quiet: ${parts.join(", ")} (${timezone})`;
  }
  if (kind === "digest") return `One message: ${daysInWords(days ?? [])} at ${at} (${timezone})`;
  return TIMING_WORDS.at_once;
}

function daysInWords(days: Day[]): string {
  const sorted = DAYS.filter((day) => days.includes(day));
  if (sorted.length === DAYS.length) return "every day";
  const [first, last] = [DAYS.indexOf(sorted[0]!), DAYS.indexOf(sorted.at(-1)!)];
  const short = sorted.map((day) => DAY_WORDS[day].slice(0, 3));
  const isRow = sorted.length > 2 && last - first === sorted.length - 1;
  return isRow ? `${short[0]}–${short.at(-1)}` : short.join(", ");
}
