import { dayInWords, type BlackoutWindow } from "./blackouts";

export interface Schedule {
  cron?: string | null;
  interval_seconds?: number | null;
  timezone?: string;
  overlap?: "skip" | "queue" | "cancel_other";
  misfire?: "skip" | "run_once";
  blackouts?: BlackoutWindow[];
  end_date?: string | null;
}

/** Whether the times depend on the time zone of the schedule. Those of an interval do only because of blackouts or a last day. */
export function usesLocalTime({ cron, blackouts = [], end_date }: Schedule): boolean {
  return Boolean(cron) || blackouts.length > 0 || Boolean(end_date);
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAY_ABBREVIATIONS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** Describes a schedule in the words of `apps/pipelines/schedules/words.py`, and some that it lacks. A cron expression without a short description is returned unchanged. */
export function scheduleInWords(schedule: Schedule | null | undefined): string {
  if (!schedule) return "Manual";
  const until = schedule.end_date ? ` until ${dayInWords(schedule.end_date)}` : "";
  if (schedule.interval_seconds) return `Every ${intervalInWords(schedule.interval_seconds)}${until}`;
  if (!schedule.cron) return "Manual";
  return cronInWords(schedule.cron, schedule.timezone ?? "UTC") + until;
}

const UNITS: [size: number, word: string][] = [
  [604800, "week"],
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

function intervalInWords(seconds: number): string {
  const [size, word] = UNITS.find(([unit]) => seconds % unit === 0)!;
  const unitCount = seconds / size;
  return unitCount === 1 ? word : `${unitCount} ${word}s`;
}

export function cronInWords(cron: string, timezone = "UTC"): string {
  const unchangedText = `cron ${cron.trim()}`;
  const fields = cron.trim().toLowerCase().split(/\s+/);
  if (fields.length !== 5) return unchangedText;
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];

  const isEveryDay = day === "*" && month === "*" && weekday === "*";
  if (isEveryDay && hour === "*") {
    const minutes = minutesInWords(minute);
    return minutes ? `${minutes} (${timezone})` : unchangedText;
  }
  if (isEveryDay && isNumber(minute)) {
    const hours = hoursInWords(Number(minute), hour);
    if (hours) return `${hours} (${timezone})`;
  }

  const times = timesInWords(minute, hour);
  const days = daysInWords(day, month, weekday);
  if (!times || !days) return unchangedText;
  return `${days} ${times} (${timezone})`;
}

function minutesInWords(minute: string): string | null {
  if (minute === "*") return "Every minute";
  const step = evenStep(minute, 60);
  if (step) return step === 1 ? "Every minute" : `Every ${step} minutes`;
  const minutes = minute.split(",");
  if (!minutes.every(isNumber)) return null;
  return `Hourly at minute${minutes.length > 1 ? "s" : ""} ${joinWithAnd(minutes.map((each) => String(Number(each))))}`;
}

function hoursInWords(minute: number, hour: string): string | null {
  const step = evenStep(hour, 24);
  if (!step) return null;
  return step === 1 ? `Hourly at minute ${minute}` : `Every ${step} hours at minute ${minute}`;
}

// Returns the step of a field such as "*/15", or null. A step that does not divide `cycle` (7 of 60) gives null.
function evenStep(field: string, cycle: number): number | null {
  const step = Number(/^(?:\*|0)\/(\d+)$/.exec(field)?.[1]);
  return step > 0 && cycle % step === 0 ? step : null;
}

/** Returns single times of the day, or times at a steady distance within a part of it, such as `every 15 minutes from 08:00 to 18:45`. */
function timesInWords(minute: string, hour: string): string | null {
  if (!isNumber(minute)) return steadyTimesInWords(minute, hour);
  const hours = hour.split(",");
  if (hours.every(isNumber)) return `at ${joinWithAnd(hours.map((value) => `${pad(value)}:${pad(minute)}`))}`;
  const range = hourRange(hour);
  if (!range) return null;
  const distance = range.step === 1 ? "every hour" : `every ${range.step} hours`;
  return `${distance} from ${pad(range.first)}:${pad(minute)} to ${pad(range.last)}:${pad(minute)}`;
}

function steadyTimesInWords(minute: string, hour: string): string | null {
  const step = minute === "*" ? 1 : evenStep(minute, 60);
  const range = isNumber(hour) ? { first: Number(hour), last: Number(hour), step: 1 } : hourRange(hour);
  if (!step || range?.step !== 1) return null;
  const distance = step === 1 ? "every minute" : `every ${step} minutes`;
  return `${distance} from ${pad(range.first)}:00 to ${pad(range.last)}:${pad(60 - step)}`;
}

/** Returns the hours of a field such as "8-18" or "8-18/2", or null. `last` is an hour that the steps reach. */
function hourRange(hour: string): { first: number; last: number; step: number } | null {
  const [, from, to, by] = /^(\d+)-(\d+)(?:\/(\d+))?$/.exec(hour) ?? [];
  const [first, end, step] = [Number(from), Number(to), Number(by ?? 1)];
  if (from === undefined || end <= first || end > 23 || step < 1) return null;
  return { first, last: first + Math.floor((end - first) / step) * step, step };
}

function daysInWords(day: string, month: string, weekday: string): string | null {
  const monthName = month === "*" ? "" : monthInWords(month);
  if (monthName === null) return null;
  if (day === "*" && weekday === "*") return monthName ? `Every day in ${monthName}` : "Daily";
  if (weekday === "*") return dayOfMonthInWords(day, monthName);
  if (day !== "*") return null; // cron then runs on days that match either field, which has no short description
  const names = weekdayInWords(weekday);
  return names && (monthName ? `${names} in ${monthName}` : names);
}

function dayOfMonthInWords(day: string, monthName: string): string | null {
  if (!isNumber(day)) return null;
  return monthName ? `Every ${day} ${monthName}` : `Monthly on day ${day}`;
}

function monthInWords(month: string): string | null {
  return isNumber(month) ? (MONTHS[Number(month) - 1] ?? null) : null;
}

function weekdayInWords(weekday: string): string | null {
  if (weekday === "1-5" || weekday === "mon-fri") return "Weekdays";
  if (["0,6", "6,0", "6-7", "6,7", "sat,sun"].includes(weekday)) return "Weekends";
  const names = weekday.split(",").map(weekdayName);
  return names.every((name) => name !== null) ? joinWithAnd(names.map((name) => `${name}s`)) : null;
}

function weekdayName(text: string): string | null {
  const index = isNumber(text) ? Number(text) % 7 : DAY_ABBREVIATIONS.indexOf(text);
  return DAYS[index] ?? null;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function pad(value: string | number): string {
  return String(value).padStart(2, "0");
}

function joinWithAnd(parts: string[]): string {
  if (parts.length < 2) return parts[0] ?? "";
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
