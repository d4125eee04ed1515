export type Weekday = "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday";

/** A window in which nothing but a person starts a pipeline: on days of the week, or on whole days. */
export interface BlackoutWindow {
  weekdays?: Weekday[];
  start?: string;
  end?: string;
  first_day?: string;
  last_day?: string;
}

export const WEEKDAYS: Weekday[] = [
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday",
];

export function weekdayName(day: Weekday): string {
  return day.charAt(0).toUpperCase() + day.slice(1);
}

/** A day such as `2026-12-24` in words. */
export function dayInWords(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) return day;
  return date.toLocaleDateString("en-GB", {
    day: "numeric",
    month: "long",
    year: "numeric",
    timeZone: "UTC",
  });
}

/** Describes a window in the words of `apps/pipelines/schedules/blackouts.py`. */
export function windowInWords({ weekdays, start, end, first_day, last_day }: BlackoutWindow): string {
  if (!weekdays) {
    const [first, last] = [dayInWords(first_day ?? ""), dayInWords(last_day ?? "")];
    return first === last ? first : `${first} to ${last}`;
  }
  const isEveryDay = weekdays.length === WEEKDAYS.length;
  if (start === "00:00" && end === "00:00") return isEveryDay ? "Every day" : daysInWords(weekdays);
  return `${isEveryDay ? "Daily" : daysInWords(weekdays)} from ${start} to ${end}`;
}

function daysInWords(days: Weekday[]): string {
  const ordered = WEEKDAYS.filter((day) => days.includes(day));
  if (ordered.join() === WEEKDAYS.slice(0, 5).join()) return "Monday to Friday";
  const names = ordered.map(weekdayName);
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
