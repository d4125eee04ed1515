import { describe, expect, it } from "vitest";
import { formatDuration, secondsBetween } from "./duration";
import { nameInWords } from "./name";
import { formatBytes, formatCount, countWithNoun, formatShortCount } from "./number";
import { cronInWords, scheduleInWords } from "./schedule";
import { absoluteTime, relativeTime } from "./time";

describe("durations", () => {
  it.each([
    [0, "0 s"],
    [0.0002, "1 ms"],
    [0.02, "20 ms"],
    [0.42, "0.4 s"],
    [9.94, "9.9 s"],
    [9.96, "10 s"],
    [59.4, "59 s"],
    [59.6, "1 min"],
    [185, "3 min 05 s"],
    [3600, "1 h"],
    [7800, "2 h 10 min"],
    [273600, "3 d 04 h"],
    [Number.NaN, "–"],
    [-1, "–"],
  ])("formats %s seconds as %s", (seconds, words) => {
    expect(formatDuration(seconds).replaceAll("\u00a0", " ")).toBe(words);
  });

  it("joins a number and its unit with a no-break space", () => {
    expect(formatDuration(12)).toBe("12\u00a0s");
    expect(formatDuration(0.02)).toBe("20\u00a0ms");
    expect(formatDuration(185)).toBe("3\u00a0min 05\u00a0s");
  });

  it("counts seconds until now if there is no end, and never returns a negative number", () => {
    const now = Date.parse("2026-11-22T10:00:30Z");
    expect(secondsBetween("2026-11-22T10:00:00Z", null, now)).toBe(30);
    expect(secondsBetween("2026-11-22T10:00:00Z", "2026-11-22T10:00:12Z", now)).toBe(12);
    expect(secondsBetween("2026-11-22T10:01:00Z", null, now)).toBe(0);
  });
});

describe("relative times", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  it.each([
    ["2026-11-22T09:59:55Z", "just now"],
    ["2026-11-22T10:00:05Z", "in a few seconds"],
    ["2026-11-22T09:59:15Z", "45 sec. ago"],
    ["2026-11-22T09:01:01Z", "58 min. ago"],
    ["2026-11-22T12:30:00Z", "in 2 hr."],
    ["2026-11-21T10:00:00Z", "yesterday"],
    ["2026-11-24T09:00:00Z", "in 2 days"],
    ["2026-11-10T10:00:00Z", "last wk."],
    ["2025-10-01T10:00:00Z", "last yr."],
    ["not a time", "–"],
  ])("formats %s as %s", (time, words) => {
    expect(relativeTime(time, now)).toBe(words);
  });

  it("absoluteTime uses the given time zone", () => {
    expect(absoluteTime("2026-11-22T10:00:00Z", "Europe/Paris")).toContain("11:00:00");
    expect(absoluteTime("2026-11-22T10:00:00Z", "Asia/Kolkata")).toContain("15:30:00");
    expect(absoluteTime("nonsense")).toBe("nonsense");
  });
});

describe("schedules", () => {
  it.each([
    ["* * * * *", "Every minute (UTC)"],
    ["*/15 * * * *", "Every 15 minutes (UTC)"],
    ["0 * * * *", "Hourly at minute 0 (UTC)"],
    ["5 * * * *", "Hourly at minute 5 (UTC)"],
    ["0 */6 * * *", "Every 6 hours at minute 0 (UTC)"],
    ["30 */6 * * *", "Every 6 hours at minute 30 (UTC)"],
    ["0 9 * * *", "Daily at 09:00 (UTC)"],
    ["0 6,18 * * *", "Daily at 06:00 and 18:00 (UTC)"],
    ["0 9 * * 1-5", "Weekdays at 09:00 (UTC)"],
    ["0 8 * * 1,4", "Mondays and Thursdays at 08:00 (UTC)"],
    ["0 9 * * 1", "Mondays at 09:00 (UTC)"],
    ["0 9 * * mon,wed,fri", "Mondays, Wednesdays and Fridays at 09:00 (UTC)"],
    ["0 9 * * 7", "Sundays at 09:00 (UTC)"],
    ["30 2 1 * *", "Monthly on day 1 at 02:30 (UTC)"],
    ["0 0 24 12 *", "Every 24 December at 00:00 (UTC)"],
    ["0,30 * * * *", "Hourly at minutes 0 and 30 (UTC)"],
    ["0 9-17 * * *", "Daily every hour from 09:00 to 17:00 (UTC)"],
    ["30 8-18/3 * * 1-5", "Weekdays every 3 hours from 08:30 to 17:30 (UTC)"],
    ["*/15 8-18 * * mon-fri", "Weekdays every 15 minutes from 08:00 to 18:45 (UTC)"],
    ["*/20 6 * * *", "Daily every 20 minutes from 06:00 to 06:40 (UTC)"],
    ["* 6 * * 6", "Saturdays every minute from 06:00 to 06:59 (UTC)"],
  ])("describes %s as %s", (cron, words) => {
    expect(cronInWords(cron)).toBe(words);
  });

  it.each([
    "*/7 * * * *",
    "0 9 1 * 1",
    "*/15 8-18/2 * * *",
    "5,20 8-18 * * *",
    "0 18-9 * * *",
    "* * * * * *",
    "",
    "a b c d e",
  ])("shows %j unchanged, because there is no description for it", (cron) => {
    expect(cronInWords(cron)).toBe(`cron ${cron}`);
  });

  it("describes intervals, time zones and a missing schedule", () => {
    expect(scheduleInWords({ interval_seconds: 21600 })).toBe("Every 6 hours");
    expect(scheduleInWords({ interval_seconds: 60 })).toBe("Every minute");
    expect(scheduleInWords({ interval_seconds: 5400 })).toBe("Every 90 minutes");
    expect(scheduleInWords({ cron: "0 9 * * *", timezone: "America/New_York" })).toBe(
      "Daily at 09:00 (America/New_York)",
    );
    expect(scheduleInWords(null)).toBe("Manual");
  });
});

describe("numbers", () => {
  it("are formatted with separators, short units and plurals", () => {
    expect(formatCount(336776)).toBe("336,776");
    expect(formatShortCount(9999)).toBe("9,999");
    expect(formatShortCount(336776)).toBe("336.8K");
    expect(countWithNoun(1, "record")).toBe("1\u00a0record");
    expect(countWithNoun(2000, "record")).toBe("2,000\u00a0records");
    expect(formatBytes(812)).toBe("812\u00a0B");
    expect(formatBytes(4_100_000)).toBe("4.1\u00a0MB");
    expect(formatBytes(999_600)).toBe("1.0\u00a0MB");
  });
});

it("nameInWords splits a field's name into words and capitalises abbreviations", () => {
  expect(["accessKeyId", "base_url", "role"].map(nameInWords)).toEqual(["Access key ID", "Base URL", "Role"]);
});
