const STEPS: [limit: number, size: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, 1, "second"],
  [60 * 60, 60, "minute"],
  [24 * 3600, 3600, "hour"],
  [7 * 86400, 86400, "day"],
  [30 * 86400, 7 * 86400, "week"],
  [365 * 86400, 30 * 86400, "month"],
  [Infinity, 365 * 86400, "year"],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

const SKEW = 2; // seconds that a server's moment may seem to lie ahead of us

/** `just now`, `3 min. ago`, `in 2 hr.`: the largest unit that fits, rounded down. */
export function relativeTime(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1000;
  if (Number.isNaN(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size < 10) return seconds > SKEW ? "in a few seconds" : "just now";
  const step = STEPS.find(([limit]) => size < limit)!;
  const [, unitSize, unit] = step;
  return relative.format(Math.trunc(seconds / unitSize), unit);
}

/** The full moment in the viewer's own zone, for tooltips. */
export function absoluteTime(at: string, timeZone?: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  return new Intl.DateTimeFormat("en-GB", {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
    ...(timeZone ? { timeZone } : {}),
  }).format(date);
}

/** `Mon 23 Nov, 06:00` in the viewer's own zone. */
export function shortTime(at: string, timeZone?: string): string {
  return new Intl.DateTimeFormat("en-GB", {
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    ...(timeZone ? { timeZone } : {}),
  }).format(new Date(at));
}

/** Clock time with milliseconds, for log lines. */
export function clockTime(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  const whole = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${whole}.${pad(date.getMilliseconds(), 3)}`;
}
