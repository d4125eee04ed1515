import type { PipelineStatistics } from "@/api/types";
import { countWithNoun } from "@/format/number";

type Day = PipelineStatistics["days"][number];

export const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const dayFormat = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});

/** The date so many days later, as `2026-03-01`. */
export function addDays(date: string, days: number): string {
  const time = new Date(`${date}T00:00:00Z`);
  time.setUTCDate(time.getUTCDate() + days);
  return time.toISOString().slice(0, 10);
}

/** The weeks from this Monday until today, each with its dates. */
export function calendarWeeks(since: string, now = new Date()): string[][] {
  const pad = (value: number) => String(value).padStart(2, "0");
  const today = `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`;
  const weeks: string[][] = [];
  for (let monday = since; monday <= today; monday = addDays(monday, 7)) {
    const dates = Array.from({ length: 7 }, (_, index) => addDays(monday, index));
    weeks.push(dates.filter((date) => date <= today));
  }
  return weeks;
}

/** For example `Mon 2 Nov 2026: 24 runs, 1 failed, 336,776 records`. */
export function dayInWords(date: string, day: Day | undefined): string {
  const name = dayFormat.format(new Date(`${date}T00:00:00Z`));
  if (!day) return `${name}: no runs`;
  const { succeeded, failed, cancelled, records } = day;
  return [
    `${name}: ${countWithNoun(succeeded + failed + cancelled, "run")}`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    countWithNoun(records, "record"),
  ].join(", ");
}
