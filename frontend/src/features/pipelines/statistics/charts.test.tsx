// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http as untyped, HttpResponse } from "msw";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openPage, startApp } from "@/test-app";
import type { Usual } from "@/api/types";
import { http, startServer } from "@/test-server";
import { addDays, calendarWeeks, dayInWords } from "./calendar-days";

const RUN = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
const since = addDays(mondayOf(new Date()), -25 * 7);
const yesterday = addDays(new Date().toISOString().slice(0, 10), -1);
const charted = {
  id: RUN,
  trigger: "schedule" as const,
  version: 4,
  created_at: "2026-03-01T06:00:00Z",
  started_at: "2026-03-01T06:00:00Z",
  finished_at: "2026-03-01T06:01:00Z",
  rejected: 0,
};

const range = { usual: 1200, runs: 30, has_weekday: true };
const SATURDAY = 6;
const weekdays = [1, 2, 3, 4, 5, SATURDAY, 7].map((weekday) => ({
  weekday,
  seconds: null,
  records: { ...range, low: weekday === SATURDAY ? 900 : 1, high: weekday === SATURDAY ? 1500 : 2 },
}));
let usual: Usual = { timezone: "UTC", runs: 0, weekdays: [] };

function mondayOf(date: Date): string {
  return addDays(date.toISOString().slice(0, 10), -((date.getUTCDay() + 6) % 7));
}

startServer(
  http.get("/api/v1/stats/pipelines/{id}", ({ response }) =>
    response(200).json({
      runs: [
        { ...charted, status: "succeeded" as const, records: 1200, failure_class: null },
        { ...charted, status: "failed" as const, records: 0, failure_class: "source" },
      ],
      days: [
        { date: addDays(yesterday, -1), succeeded: 0, failed: 0, cancelled: 1, records: 0 },
        { date: yesterday, succeeded: 23, failed: 1, cancelled: 0, records: 5000 },
      ],
      since,
      failing: {
        last_success_at: "2026-03-01T06:00:00Z",
        first_failure_id: RUN,
        first_failure_at: "2026-03-01T07:00:00Z",
        failures: 3,
        versions: [{ number: 4, created_at: "2026-03-01T06:50:00Z", author: "Mia" }],
      },
      freshness: {
        points: [
          {
            at: "2026-03-01T06:01:00Z",
            freshness: "none" as const,
            age_seconds: null,
            late_after_seconds: null,
          },
          {
            at: "2026-03-01T07:01:00Z",
            freshness: "failing" as const,
            age_seconds: 7200,
            late_after_seconds: 9000,
          },
        ],
        fresh_share: 0.979,
      },
    }),
  ),
  http.get("/api/v1/pipelines/{id}/usual", ({ response }) => response(200).json(usual)),
  untyped.get("*/api/v1/pipelines/p1", () => HttpResponse.json(pipeline)),
  untyped.get("*/api/v1/*", () => HttpResponse.json({ results: [], next: null, count: 0 })),
);
const pipeline = {
  id: "p1",
  name: "Orders",
  description: "",
  domain: null,
  tags: [],
  enabled: true,
  version: 4,
  source_kind: "postgres",
  destination_kind: "parquet",
  stream: "orders",
  stream_count: 1,
  schedule: null,
  next_run_at: null,
  last_run: {
    id: RUN,
    status: "failed",
    kind: "ordinary",
    finished_at: "2026-03-01T07:00:00Z",
    records: 0,
    duration_seconds: 60,
  },
  failing_since: "2026-03-01T07:00:00Z",
  last_success_at: "2026-03-01T06:00:00Z",
  warnings: [],
  config: {
    source: { connector_id: null, kind: "postgres", config: {} },
    streams: [],
    destination: { connector_id: null, kind: "parquet", config: {} },
  },
};

beforeEach(() => {
  usual = { timezone: "UTC", runs: 0, weekdays: [] };
  startApp(["read"]);
});
afterEach(cleanup);

describe("the charts of a pipeline", () => {
  it("say who changed what before it began to fail", async () => {
    await openPage("/pipelines/p1");
    const notice = within(await screen.findByRole("region", { name: "Since when it fails" }));
    expect(notice.getByText(/Version 4 was saved/).textContent).toBe(
      "Version 4 was saved by Mia, 10\u00a0min before the first failure.",
    );
    const href = notice.getByRole("link", { name: "See what changed" }).getAttribute("href");
    expect(href).toBe("/pipelines/p1/versions?version=4");
  });

  it("have the values of each run as a table", async () => {
    await openPage("/pipelines/p1");
    const table = await screen.findByRole("table", { name: /^Records of the last 2/ });
    const cells = within(table)
      .getAllByRole("cell")
      .map(({ textContent }) => textContent);
    expect(cells).toEqual(["1,200", "none", "none", "0"]);
  });

  it("show what is usual on the weekday of each run, in the time zone of the schedule", async () => {
    usual = { timezone: "Pacific/Pago_Pago", runs: 30, weekdays };
    await openPage("/pipelines/p1");
    const name = "Records of the last 2\u00a0runs, usual between the lines";
    const table = await screen.findByRole("table", { name });
    const headers = within(table).getAllByRole("columnheader");
    expect(headers.map(({ textContent }) => textContent)).toEqual([
      ...["Time", "Succeeded", "Failed"],
      ...["Usual from", "Usual to"],
    ]);
    // Sunday, 1 March 2026, at 06:00 UTC is still Saturday in Pago Pago.
    const cells = within(table).getAllByRole("cell");
    expect(cells.map(({ textContent }) => textContent).slice(0, 4)).toEqual([
      "1,200",
      "none",
      "900",
      "1,500",
    ]);
    expect(screen.queryByRole("table", { name: /^Duration.*usual/ })).toBeNull();
  });

  it("show how old the data was at the end of each run, and from which age on it is late", async () => {
    await openPage("/pipelines/p1");
    const table = await screen.findByRole("table", {
      name: "Age of the data, late above the line: fresh 97% of the time",
    });
    const headers = within(table).getAllByRole("columnheader");
    expect(headers.map(({ textContent }) => textContent)).toEqual(["Time", "Failing", "Late after"]);
    const cells = within(table).getAllByRole("cell");
    expect(cells.map(({ textContent }) => textContent)).toEqual(["none", "none", "2\u00a0h", "2.5\u00a0h"]);
  });

  it("have a calendar that the keyboard can walk through", async () => {
    await openPage("/pipelines/p1");
    const day = await screen.findByRole("gridcell", { name: /24.runs, 1 failed, 5,000.records/ });
    day.focus();
    expect(document.activeElement).toBe(day);
    await userEvent.keyboard("{ArrowLeft}");
    const before = document.activeElement as HTMLElement;
    expect(before.dataset.date).toBe(addDays(yesterday, -7));
    expect(before.getAttribute("aria-label")).toMatch(/no runs/);
    await userEvent.keyboard("{Home}");
    expect((document.activeElement as HTMLElement).dataset.date).toBe(since);
  });
});

it("the legend of the calendar explains the color of each day", async () => {
  startApp(["read"]);
  await openPage("/pipelines/p1");
  const calendar = await screen.findByRole("grid", { name: /Days of the last/ });
  const colorsOf = (elements: Iterable<Element>) =>
    [...elements].flatMap((element) => [...element.classList].filter((name) => name.startsWith("bg-")));
  const explained = new Set(colorsOf(calendar.parentElement!.querySelectorAll("p span span")));
  const used = new Set(colorsOf(within(calendar).getAllByRole("gridcell")));
  expect(used.size).toBeGreaterThan(2);
  expect([...used].filter((color) => !explained.has(color))).toEqual([]);
});

it("the weeks of the calendar end today", () => {
  const weeks = calendarWeeks("2026-02-23", new Date(2026, 2, 4, 12));
  expect(weeks.map((week) => week.length)).toEqual([7, 3]);
  expect(weeks[1]!.at(-1)).toBe("2026-03-04");
  expect(dayInWords("2026-03-04", undefined)).toBe("Wed, 4 Mar 2026: no runs");
});
