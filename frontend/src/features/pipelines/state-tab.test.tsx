// @vitest-environment jsdom
import { cleanup, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Pipeline, StreamState } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";

const pipeline: Pipeline = {
  ...PIPELINE,
  stream: "*",
  config: { ...PIPELINE.config, patterns: { match: ["*"], sync_mode: "full_refresh" } },
};
const state: StreamState = {
  stream: "orders",
  sync_mode: "incremental",
  status: "succeeded",
  state: { after: 7 },
  batches: 1,
  written: 30,
  rejected: 0,
  skipped: 0,
  updated_at: "2026-01-01T00:00:00Z",
  columns: null,
};
let streams: StreamState[];

startServer(
  http.get("/api/v1/pipelines/{id}", ({ response }) => response(200).json(pipeline)),
  http.get("/api/v1/pipelines/{id}/state", ({ response }) => response(200).json(part({ streams }))),
  http.get("/api/v1/pipelines/{id}/backfills", ({ response }) =>
    response(200).json(part({ results: [], streams: [] })),
  ),
  EMPTY_LISTS,
);

async function openState(known: StreamState[]) {
  streams = known;
  startApp(["read", "state.edit"]);
  await openPage(`/pipelines/${pipeline.id}/state`);
}

afterEach(cleanup);

describe("the state of a pipeline whose streams are chosen by patterns", () => {
  it("is shown for each stream that has run", async () => {
    await openState([state]);
    await screen.findByRole("heading", { name: "orders" });
    expect(screen.getByRole("button", { name: /Edit position ?of orders/ })).toBeDefined();
  });

  it("does not call a sync running whose run has failed", async () => {
    await openState([{ ...state, status: "running" }]);
    expect(await screen.findByText(/Incremental, did not finish/)).toBeDefined();
  });

  it("says that nothing has been chosen before the first run", async () => {
    await openState([]);
    await screen.findByText(/patterns have chosen no stream yet/);
  });
});
