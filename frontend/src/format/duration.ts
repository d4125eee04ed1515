import { withUnit } from "./number";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Formats seconds with units: `20 ms`, `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 04 h`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds > 0 && seconds < 0.0995) return withUnit(Math.ceil(seconds * 1000), "ms");
  if (seconds < 9.95) return withUnit(withoutTrailingZero(seconds.toFixed(1)), "s");
  const rounded = Math.round(seconds);
  if (rounded < MINUTE) return withUnit(rounded, "s");
  if (rounded < HOUR) return formatTwoUnits(rounded, MINUTE, "min", 1, "s");
  if (rounded < DAY) return formatTwoUnits(rounded, HOUR, "h", MINUTE, "min");
  return formatTwoUnits(rounded, DAY, "d", HOUR, "h");
}

function withoutTrailingZero(text: string): string {
  return text.replace(/\.0$/, "");
}

function formatTwoUnits(rounded: number, major: number, majorName: string, minor: number, minorName: string) {
  const first = Math.floor(rounded / major);
  const second = Math.floor((rounded % major) / minor);
  if (second === 0) return withUnit(first, majorName);
  return `${withUnit(first, majorName)} ${withUnit(String(second).padStart(2, "0"), minorName)}`;
}

/** The seconds between two RFC 3339 times. Without an end, the seconds from the start until `now`. */
export function secondsBetween(start: string, end: string | null, now: number): number {
  const endTime = end === null ? now : Date.parse(end);
  return Math.max(0, (endTime - Date.parse(start)) / 1000);
}
