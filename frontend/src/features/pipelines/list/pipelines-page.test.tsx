// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { openPage, startApp } from "@/test-app";

const row = {
  id: "0b6a7f0e-0000-4000-8000-000000000001",
  name: "Flights",
  description: "",
  domain: null,
  tags: [],
  enabled: true,
  version: 1,
  source_kind: "postgres",
  destination_kind: "parquet",
  stream: "flights",
  stream_count: 1,
  schedule: null,
  next_run_at: null,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
};

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it.each([
  ["ordinary", "running", "Running", "A run is in progress."],
  ["backfill", "running", "Backfill running", "A backfill is in progress."],
  ["backfill", "pending", "Backfill waiting", "A backfill is in progress."],
  ["replay", "running", "Sending again", "Rejected records are being sent again."],
])("a run of the kind %s that is %s is shown as %s", async (kind, status, words, reason) => {
  const last_run = { id: "r1", status, kind, finished_at: null, records: null };
  startApp(["read", "pipelines.run"], async (request) => {
    const isList = new URL(request.url).pathname === "/api/v1/pipelines";
    const results = isList ? [{ ...row, last_run }] : [];
    return Response.json({ results, next: null, previous: null, count: results.length });
  });
  await openPage("/pipelines");
  const badge = within(await screen.findByRole("row", { name: /Flights/ })).getByText(words);
  expect(badge.dataset.status).toBe(status);
  await userEvent.hover(screen.getByRole("button", { name: "Run Flights" }));
  expect((await screen.findByRole("tooltip")).textContent).toBe(reason);
});
