// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openPage, startApp } from "@/test-app";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const stream = (name: string) => ({
  stream: name,
  table: name,
  sync_mode: "incremental",
  cursor_field: "at",
  primary_key: [],
  write_mode: "append",
  transforms: [],
});
const pipeline = {
  id: ID,
  name: "Flights",
  domain: null,
  tags: [],
  enabled: true,
  version: 1,
  source_kind: "postgres",
  destination_kind: "postgres",
  stream: "flights",
  stream_count: 2,
  schedule: null,
  last_run: null,
  warnings: [],
  description: "",
  timeout_seconds: 3600,
  max_attempts: 3,
  config: {
    source: { connector_id: null, kind: "postgres", config: {} },
    streams: [stream("flights"), stream("planes")],
    destination: { connector_id: null, kind: "postgres", config: {} },
  },
};
const backfill = {
  id: "b1",
  stream: "flights",
  cursor_field: "at",
  window_mode: "replace",
  from: null,
  to: "2026-02-01",
  status: "running",
  chunks: 4,
  chunks_done: 1,
  rows_expected: 5000,
  rows_counted: false,
  rows_read: 1200,
  rows_written: 1200,
  run_id: "r1",
  failure_message: "",
  created_by: { id: "u", name: "Ada" },
  created_at: "2026-03-01T00:00:00Z",
  finished_at: null,
};
const REFUSAL = "The stream has no saved position: its next run reads all rows.";
const possible = (name: string, refusal = "") => ({
  stream: name,
  cursor_field: "at",
  window_mode: refusal ? null : "replace",
  refusal,
  reads_whole: false,
  latest_end: refusal ? null : "2026-02-01",
});
const estimate = { rows: 27004, rows_counted: true, chunks: 1, from: null, to: "2026-02-01" };

/** Opens the tab, and returns the requests that were posted: the end of their path, and their body. */
async function openTab(
  permissions: string[],
  { results = [backfill], streams = [possible("flights")] } = {},
) {
  const requests: [string, unknown][] = [];
  startApp(permissions, async (request) => {
    const { pathname } = new URL(request.url);
    const end = pathname.split("/backfills")[1];
    if (end !== undefined && request.method === "POST") {
      requests.push([end, end.endsWith("/cancel") ? null : await request.json()]);
      return Response.json({ results: [{ ...backfill, ...estimate }] }, { status: end === "" ? 201 : 200 });
    }
    if (end !== undefined) return Response.json({ results, streams });
    if (pathname.endsWith("/state")) return Response.json({ streams: [] });
    if (pathname === `/api/v1/pipelines/${ID}`) return Response.json(pipeline, { headers: { ETag: '"1"' } });
    return Response.json({ results: [], runs: [], next: null });
  });
  await openPage(`/pipelines/${ID}/state`);
  await screen.findByRole("heading", { name: "Backfills" });
  return requests;
}

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("the backfills of a pipeline", () => {
  it("shows the window and the progress of a backfill, and lets a reader change nothing", async () => {
    await openTab(["read"]);
    expect(screen.getByText(/from the beginning to 2026-02-01/)).toBeDefined();
    expect(screen.getByText(/1 of 4\sruns, 1,200 of about 5,000\srecords/)).toBeDefined();
    const progress = screen.getByRole("progressbar", { name: "Progress of the backfill of flights" });
    expect([progress.getAttribute("value"), progress.getAttribute("max")]).toEqual(["1", "4"]);
    expect(screen.queryByRole("button", { name: /backfill/ })).toBeNull();
  });

  it("estimates a window and starts the backfill of it", async () => {
    const streams = [possible("planes", REFUSAL), possible("flights")];
    const requests = await openTab(["read", "pipelines.run"], { results: [], streams });
    await userEvent.click(screen.getByRole("button", { name: "Start a backfill" }));
    const dialog = within(screen.getByRole("dialog"));
    expect(dialog.getByRole<HTMLSelectElement>("combobox").value).toBe("flights");
    await userEvent.type(dialog.getByLabelText(/^From/), " 2026-01-01 ");
    await userEvent.click(dialog.getByRole("button", { name: "Estimate" }));
    expect(await dialog.findByText(/^27,004\srecords in 1\srun$/)).toBeDefined();
    await userEvent.click(dialog.getByRole("button", { name: "Start backfill" }));
    await screen.findByText("The backfill of flights begins in a few seconds.");
    const body = { streams: ["flights"], from: "2026-01-01", to: null };
    expect(requests).toEqual([
      ["/estimate", body],
      ["", body],
    ]);
  });

  it("reads a stream as a whole if its source cannot read a window", async () => {
    const whole = { ...backfill, from: null, to: null, rows_expected: null, rows_read: 7 };
    const streams = [{ ...possible("flights"), window_mode: "merge", reads_whole: true }];
    const requests = await openTab(["read", "pipelines.run"], { results: [whole as never], streams });
    expect(screen.getByText("The whole stream")).toBeDefined();
    expect(screen.getByText(/7\srecords · started/)).toBeDefined();
    await userEvent.click(screen.getByRole("button", { name: "Start a backfill" }));
    const dialog = within(screen.getByRole("dialog"));
    expect(dialog.queryByLabelText(/^From/)).toBeNull();
    expect(dialog.queryByRole("button", { name: "Estimate" })).toBeNull();
    await userEvent.click(dialog.getByRole("button", { name: "Start backfill" }));
    await screen.findByText("The backfill of flights begins in a few seconds.");
    expect(requests).toEqual([["", { streams: ["flights"], from: null, to: null }]]);
  });

  it("cancels a backfill after a question", async () => {
    const requests = await openTab(["read", "runs.cancel"]);
    await userEvent.click(screen.getByRole("button", { name: /^Cancel/ }));
    const dialog = within(screen.getByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Cancel backfill" }));
    await screen.findByText("The backfill of flights was cancelled.");
    expect(requests).toEqual([["/b1/cancel", null]]);
  });

  it("says why no stream can be backfilled", async () => {
    await openTab(["read", "pipelines.run"], { results: [], streams: [possible("flights", REFUSAL)] });
    expect(screen.getByText(REFUSAL)).toBeDefined();
    const button = screen.getByRole("button", { name: "Start a backfill" });
    expect(button.getAttribute("aria-disabled")).toBe("true");
  });
});
