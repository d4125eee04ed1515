const UNITS: [limit: number, size: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, 1, "second"],
  [60 * 60, 60, "minute"],
  [24 * 3600, 3600, "hour"],
  [7 * 86400, 86400, "day"],
  [30 * 86400, 7 * 86400, "week"],
  [365 * 86400, 30 * 86400, "month"],
  [Infinity, 365 * 86400, "year"],
];

const relativeFormat = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

const MAX_CLOCK_SKEW = 2; // seconds by which the server's clock may be ahead of the browser's

/** Formats a time relative to now, with the largest unit that fits: `just now`, `3 min. ago`, `in 2 hr.`. */
export function relativeTime(time: string, now: number): string {
  const seconds = (Date.parse(time) - now) / 1000;
  if (Number.isNaN(seconds)) return "–";
  const distance = Math.abs(seconds);
  if (distance < 10) return seconds > MAX_CLOCK_SKEW ? "in a few seconds" : "just now";
  const [, unitSize, unit] = UNITS.find(([limit]) => distance < limit)!;
  const count = unit === "day" ? daysBetween(now, Date.parse(time)) : Math.trunc(seconds / unitSize);
  return relativeFormat.format(count, unit);
}

/** Counts dates in the user's time zone: "tomorrow" is the next date, also if it begins in 47 hours. */
function daysBetween(start: number, end: number): number {
  const [first, last] = [start, end].map((time) => new Date(time).setHours(0, 0, 0, 0));
  return Math.round((last! - first!) / (86400 * 1000));
}

const SHORT_PARTS = {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
} as const;
const shortFormat = formatPerTimeZone(SHORT_PARTS);
const absoluteFormat = formatPerTimeZone({
  ...SHORT_PARTS,
  year: "numeric",
  second: "2-digit",
  timeZoneName: "short",
});

/** Keeps the formats, because creating one takes longer than formatting fifty times. */
function formatPerTimeZone(parts: Intl.DateTimeFormatOptions) {
  const formats = new Map<string | undefined, Intl.DateTimeFormat>();
  return (timeZone?: string) => {
    const known = formats.get(timeZone);
    if (known) return known;
    const created = new Intl.DateTimeFormat("en-GB", { ...parts, timeZone });
    formats.set(timeZone, created);
    return created;
  };
}

/** Formats date and time in the user's time zone, for tooltips. */
export function absoluteTime(time: string, timeZone?: string): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : absoluteFormat(timeZone).format(date);
}

/** Formats date and time in the user's time zone: `Mon 23 Nov, 06:00`. */
export function shortTime(time: string, timeZone?: string): string {
  return shortFormat(timeZone).format(new Date(time));
}

/** Formats the time of day with milliseconds, for log lines. */
export function clockTime(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  const seconds = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${seconds}.${pad(date.getMilliseconds(), 3)}`;
}

/** Returns the IANA name of the user's time zone, such as Europe/Paris. */
/** A moment near now in the user's time zone: its time, and its day unless that is today. */
export function momentInWords(time: string): string {
  const isToday = new Date(time).toDateString() === new Date().toDateString();
  return isToday ? clockTime(time).slice(0, 5) : shortTime(time);
}

export function browserTimeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
