import { withUnit } from "./number";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Seconds in words: `20 ms`, `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds > 0 && seconds < 0.0995) return withUnit(Math.ceil(seconds * 1000), "ms");
  if (seconds < 9.95) return withUnit(trimZero(seconds.toFixed(1)), "s");
  const whole = Math.round(seconds);
  if (whole < MINUTE) return withUnit(whole, "s");
  if (whole < HOUR) return pair(whole, MINUTE, "min", 1, "s");
  if (whole < DAY) return pair(whole, HOUR, "h", MINUTE, "min");
  return pair(whole, DAY, "d", HOUR, "h");
}

function trimZero(text: string): string {
  return text.replace(/\.0$/, "");
}

function pair(whole: number, major: number, majorWord: string, minor: number, minorWord: string) {
  const first = Math.floor(whole / major);
  const second = Math.floor((whole % major) / minor);
  if (second === 0) return withUnit(first, majorWord);
  return `${withUnit(first, majorWord)} ${withUnit(String(second).padStart(2, "0"), minorWord)}`;
}

/** Seconds between two RFC 3339 times; until `now` when the end is open. */
export function secondsBetween(start: string, end: string | null, now: number): number {
  const until = end === null ? now : Date.parse(end);
  return Math.max(0, (until - Date.parse(start)) / 1000);
}
