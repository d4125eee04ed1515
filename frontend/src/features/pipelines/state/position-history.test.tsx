// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import type { Permission, Pipeline, PipelineState, PositionHistory } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { incrementalStream, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, refusal, startServer } from "@/test-server";

const ID = PIPELINE.id;
const RUN = "0b6a7f0e-0000-4000-8000-000000000002";
const pipeline: Pipeline = {
  ...PIPELINE,
  config: { ...PIPELINE.config, streams: [incrementalStream("flights")] },
};
const state = (after: number): PipelineState => ({
  streams: [
    {
      stream: "flights",
      sync_mode: "incremental",
      status: "succeeded",
      state: { after },
      batches: 1,
      written: 30,
      rejected: 0,
      skipped: 0,
      updated_at: "2026-01-02T00:00:00Z",
      columns: null,
    },
  ],
});
const change = {
  stream: "flights",
  at: "2026-01-02T00:00:00Z",
  run_id: null,
  changed_by: null,
  complete: true,
};
const history: PositionHistory = {
  count: 2,
  next_offset: null,
  results: [
    {
      ...change,
      id: "c2",
      cause: "edit",
      changed_by: { id: "u", name: "Ada" },
      before: { after: 20 },
      after: { after: 5 },
    },
    { ...change, id: "c1", cause: "run", run_id: RUN, before: null, after: { after: 20 } },
  ],
};

const RESTORE = "/api/v1/pipelines/{id}/state/restore";
let requests: unknown[];

const server = startServer(
  http.get("/api/v1/pipelines/{id}", ({ response }) => response(200).json(pipeline)),
  http.get("/api/v1/pipelines/{id}/state", ({ response }) => response(200).json(state(5))),
  http.get("/api/v1/pipelines/{id}/state/history", ({ response }) => response(200).json(history)),
  http.post(RESTORE, async ({ request, response }) => {
    requests.push(await request.json());
    return response(200).json(state(20));
  }),
  http.get("/api/v1/pipelines/{id}/backfills", ({ response }) =>
    response(200).json(part({ results: [], streams: [] })),
  ),
  EMPTY_LISTS,
);

/** Opens the history of the stream, and returns the bodies of the requests to restore a position. */
async function openHistory(permissions: Permission[]) {
  requests = [];
  startApp(permissions);
  await openPage(`/pipelines/${ID}/state`);
  await userEvent.click(await screen.findByRole("button", { name: /^History/ }));
  await screen.findByText("Changes of the position");
  return requests;
}

afterEach(cleanup);

describe("the history of a position", () => {
  it("says what has changed the position, with a link to the run", async () => {
    await openHistory(["read"]);
    expect(screen.getByText(/Edited by Ada/)).toBeDefined();
    expect(screen.getByRole("link", { name: "A run" }).getAttribute("href")).toBe(`/runs/${RUN}`);
    expect(screen.queryByRole("button", { name: /^Restore/ })).toBeNull();
  });

  it("restores an earlier position after a question, but offers neither the current position nor none", async () => {
    const requests = await openHistory(["read", "state.edit"]);
    const buttons = screen.getAllByRole("button", { name: /^Restore/ });
    expect(buttons.map((button) => button.textContent.replace(/ of .*/, ""))).toEqual([
      "Restore the position before the change",
      "Restore the position after the change",
    ]);
    await userEvent.click(buttons[0] as HTMLElement);
    const dialog = within(screen.getByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Restore position" }));
    await screen.findByText(/continues from the restored position/);
    expect(requests).toEqual([{ change: "c2", side: "before" }]);
  });

  it("names the run if the server refuses because a run is in progress", async () => {
    const problem = { detail: "A run is in progress.", code: "run_in_progress", run_id: RUN };
    server.use(http.post(RESTORE, ({ response }) => response.untyped(refusal(409, problem))));
    await openHistory(["read", "state.edit"]);
    await userEvent.click(screen.getAllByRole("button", { name: /^Restore/ })[0] as HTMLElement);
    const dialog = within(screen.getByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Restore position" }));
    expect((await dialog.findByRole("link", { name: "View that run" })).getAttribute("href")).toBe(
      `/runs/${RUN}`,
    );
  });
});
