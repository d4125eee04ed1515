// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import type { Backfill, BackfillPossibility, Permission, Pipeline } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { incrementalStream, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";

const ID = PIPELINE.id;
const pipeline: Pipeline = {
  ...PIPELINE,
  stream_count: 2,
  config: {
    ...PIPELINE.config,
    streams: [incrementalStream("flights", "at"), incrementalStream("planes", "at")],
    destination: { connector_id: null, kind: "postgres", config: {} },
  },
};
const backfill: Backfill = {
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
const possible = (name: string, refusal = ""): BackfillPossibility => ({
  stream: name,
  cursor_field: "at",
  window_mode: refusal ? null : "replace",
  refusal,
  reads_whole: false,
  latest_end: refusal ? null : "2026-02-01",
});
const estimate = { rows: 27004, rows_counted: true, chunks: 1, from: null, to: "2026-02-01" };

/** What the server knows, and the requests that were posted: the end of their path, and their body. */
let results: Backfill[];
let streams: BackfillPossibility[];
let requests: [string, unknown][];

startServer(
  http.get("/api/v1/pipelines/{id}", ({ response }) => response(200).json(pipeline)),
  http.get("/api/v1/pipelines/{id}/state", ({ response }) => response(200).json(part({ streams: [] }))),
  http.get("/api/v1/pipelines/{id}/backfills", ({ response }) =>
    response(200).json(part({ results, streams })),
  ),
  http.post("/api/v1/pipelines/{id}/backfills", async ({ request, response }) => {
    requests.push(["", await request.json()]);
    return response(201).json(part({ results: [backfill] }));
  }),
  http.post("/api/v1/pipelines/{id}/backfills/estimate", async ({ request, response }) => {
    requests.push(["/estimate", await request.json()]);
    return response(200).json(part({ results: [estimate] }));
  }),
  http.post("/api/v1/pipelines/{id}/backfills/{backfill}/cancel", ({ params, response }) => {
    requests.push([`/${params.backfill}/cancel`, null]);
    return response(200).json(backfill);
  }),
  EMPTY_LISTS,
);

/** Opens the tab, and returns the requests that were posted. */
async function openTab(
  permissions: Permission[],
  known: { results?: Backfill[]; streams?: BackfillPossibility[] } = {},
) {
  [results, streams, requests] = [known.results ?? [backfill], known.streams ?? [possible("flights")], []];
  startApp(permissions);
  await openPage(`/pipelines/${ID}/state`);
  await screen.findByRole("heading", { name: "Backfills" });
  return requests;
}

afterEach(cleanup);

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
    const streams = [{ ...possible("flights"), window_mode: "merge" as const, reads_whole: true }];
    const requests = await openTab(["read", "pipelines.run"], { results: [whole], streams });
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
