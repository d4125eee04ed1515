import type { Usual } from "@/api/types";
import type { Series } from "@/components/chart/plot";

/** The limits of what is usual on the weekday of each time, as two lines. Empty if too few runs are known. */
export function usualLines(
  usual: Usual | undefined,
  value: "seconds" | "records",
  times: string[],
): Series[] {
  if (!usual?.weekdays.some((day) => day[value] !== null)) return [];
  const ranges = times.map((time) => {
    const weekday = weekdayOf(time, usual.timezone);
    return usual.weekdays.find((day) => day.weekday === weekday)?.[value] ?? null;
  });
  const line = { color: "soft" as const, kind: "line" as const };
  return [
    { ...line, label: "Usual from", values: ranges.map((range) => range?.low ?? null) },
    { ...line, label: "Usual to", values: ranges.map((range) => range?.high ?? null) },
  ];
}

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/** From 1, Monday, to 7. */
function weekdayOf(time: string, timeZone: string): number {
  const name = new Intl.DateTimeFormat("en-US", { weekday: "short", timeZone }).format(new Date(time));
  return WEEKDAYS.indexOf(name) + 1;
}
