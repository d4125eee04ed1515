// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Run } from "@/api/types";
import { ProgressCard } from "./progress-card";

afterEach(cleanup);

const attempt = (number: number, started_at: string, finished_at: string) => ({
  number,
  status: "succeeded",
  started_at,
  finished_at,
});
const run = {
  status: "succeeded",
  attempt: 2,
  started_at: "2026-03-01T06:01:00Z",
  finished_at: "2026-03-01T06:01:01Z",
  duration_seconds: 1,
  progress: {
    read: 1000,
    written: 1000,
    rejected: 0,
    skipped: 0,
    bytes: 1,
    total: null,
    rate: null,
    at: null,
  },
  attempts: [
    attempt(1, "2026-03-01T06:00:00Z", "2026-03-01T06:00:09Z"),
    attempt(2, "2026-03-01T06:01:00Z", "2026-03-01T06:01:01Z"),
  ],
} as unknown as Run;
const figure = (name: string) => screen.getByText(name).nextElementSibling!.textContent;

it.each(["failed", "cancelled"] as const)(
  "a run that %s says that its records were not published",
  (status) => {
    render(<ProgressCard run={{ ...run, status, streams_succeeded: 0 }} />);
    expect(figure("Staged, not published")).toBe("1,000");
    expect(screen.queryByText("Written")).toBeNull();
    cleanup();
    render(<ProgressCard run={{ ...run, status, streams_succeeded: 1 }} />);
    expect(figure("Written")).toBe("1,000");
  },
);

it("shows the time left from the first progress on that has a time and a total", () => {
  const startedAt = "2026-03-01T06:00:00Z";
  const running = { ...run, status: "running", attempt: 1, attempts: [], started_at: startedAt } as Run;
  const after = (seconds: number, read: number): Run => ({
    ...running,
    progress: { ...run.progress, read, total: 9000, at: `2026-03-01T06:00:${seconds}Z` },
  });
  const { rerender } = render(<ProgressCard run={running} />);
  expect(figure("Time left")).toBe("–");
  rerender(<ProgressCard run={after(10, 1000)} />);
  expect(figure("Time left")).toBe("about 1\u00a0min");
  rerender(<ProgressCard run={after(50, 8900)} />);
  expect(figure("Time left")).toBe("about a few seconds");
});

describe("the figures of a run with two attempts", () => {
  it("divide the records of both by the time of both", () => {
    render(<ProgressCard run={run} />);
    expect(figure("Average rate")).toBe("100\u00a0/s");
    expect(figure("Duration of attempt 2")).toMatch(/^1/);
  });
});
