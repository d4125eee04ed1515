// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { Schedule } from "@/format/schedule";
import * as time from "@/format/time";
import { NextRuns } from "./next-runs";

const SKIPPED = {
  kind: "skipped" as const,
  local_times: ["2027-03-28T02:30:00"],
  runs_at: "2027-03-28T01:00:00Z",
  in_words: "02:30 does not exist on 28 March 2027: clocks go forward. It runs at 03:00 instead.",
};
const schedule = { cron: "30 2 * * *", timezone: "Europe/Berlin" };

function show(times: string[], changes = [SKIPPED], shown: Schedule = schedule) {
  const checked = { times, changes, afterBlackout: times.slice(1), problem: null, errors: {} };
  render(<NextRuns schedule={shown} checked={checked} />);
}

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

it("shows the next times in the zone of the schedule, and in the user's where it differs", () => {
  vi.spyOn(time, "browserTimeZone").mockReturnValue("UTC");
  show(["2027-03-27T01:30:00Z"]);
  expect(screen.getByText("Sat 27 Mar, 02:30")).toBeTruthy();
  expect(screen.getByText("01:30 your time")).toBeTruthy();
  expect(screen.getByText(/In the time zone Europe\/Berlin of the schedule/)).toBeTruthy();
  cleanup();
  vi.spyOn(time, "browserTimeZone").mockReturnValue("America/New_York");
  show(["2027-03-27T01:30:00Z"]);
  expect(screen.getByText("Fri 26 Mar, 21:30 your time")).toBeTruthy(); // another day
  cleanup();
  vi.spyOn(time, "browserTimeZone").mockReturnValue("Europe/Paris");
  show(["2027-03-27T01:30:00Z"]);
  expect(screen.queryByText(/ your time$/)).toBeNull();
});

it.each<[string, Partial<Schedule>, string]>([
  ["your time zone, as an interval is the same everywhere", {}, "In your time zone."],
  [
    "the zone of the schedule if it has blackouts",
    { blackouts: [{ first_day: "2027-03-28", last_day: "2027-03-28" }] },
    "In the time zone Europe/Berlin of the schedule.",
  ],
  [
    "the zone of the schedule if it has a last day",
    { end_date: "2027-03-28" },
    "In the time zone Europe/Berlin of the schedule.",
  ],
])("shows the times of an interval in %s", (_, settings, words) => {
  vi.spyOn(time, "browserTimeZone").mockReturnValue("UTC");
  show(["2027-03-27T01:30:00Z"], [], { interval_seconds: 3600, timezone: "Europe/Berlin", ...settings });
  expect(screen.getByText(words)).toBeTruthy();
});

it("marks the time that a change of the clocks moves, and says what happens on that day", () => {
  show(["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z"]);
  const marked = screen.getByText("clocks change").closest("li")!;
  expect(marked.textContent).toContain("Sun 28 Mar, 03:00");
  expect(screen.getByRole("list", { name: "When clocks change" }).textContent).toBe(SKIPPED.in_words);
  cleanup();
  show(["2027-03-27T01:30:00Z"], []);
  expect(screen.queryByRole("list", { name: "When clocks change" })).toBeNull();
});

it("says at which times a blackout ends", () => {
  show(["2027-03-27T01:30:00Z", "2027-03-28T04:00:00Z"]);
  expect(screen.getAllByText("a blackout ends")).toHaveLength(1);
});

it("says that a schedule has ended", () => {
  show([], []);
  expect(screen.getByText("The schedule has no further times.")).toBeTruthy();
});
