// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openPage, startApp } from "@/test-app";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const RUN = "0b6a7f0e-0000-4000-8000-000000000002";
const pipeline = {
  id: ID,
  name: "Flights",
  domain: null,
  tags: [],
  enabled: true,
  version: 1,
  source_kind: "postgres",
  destination_kind: "parquet",
  stream: "flights",
  stream_count: 1,
  schedule: null,
  last_run: null,
  warnings: [],
  description: "",
  timeout_seconds: 3600,
  max_attempts: 3,
  config: {
    source: { connector_id: null, kind: "postgres", config: {} },
    streams: [
      {
        stream: "flights",
        table: "flights",
        sync_mode: "incremental",
        cursor_field: "id",
        primary_key: [],
        write_mode: "append",
        transforms: [],
      },
    ],
    destination: { connector_id: null, kind: "parquet", config: {} },
  },
};
const state = (after: number) => ({
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
const history = {
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

/** Opens the history of the stream, and returns the bodies of the requests to restore a position. */
async function openHistory(permissions: string[], restored: () => Response = () => Response.json(state(20))) {
  const requests: unknown[] = [];
  startApp(permissions, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("/state/history")) return Response.json(history);
    if (pathname.endsWith("/state/restore")) {
      requests.push(await request.json());
      return restored();
    }
    if (pathname.endsWith("/state")) return Response.json(state(5));
    if (pathname.endsWith("/backfills")) return Response.json({ results: [], streams: [] });
    if (pathname === `/api/v1/pipelines/${ID}`) return Response.json(pipeline, { headers: { ETag: '"1"' } });
    return Response.json({ results: [], next: null });
  });
  await openPage(`/pipelines/${ID}/state`);
  await userEvent.click(await screen.findByRole("button", { name: /^History/ }));
  await screen.findByText("Changes of the position");
  return requests;
}

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

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
    const refusal = {
      title: "Conflict",
      detail: "A run is in progress.",
      code: "run_in_progress",
      run_id: RUN,
    };
    await openHistory(["read", "state.edit"], () => Response.json(refusal, { status: 409 }));
    await userEvent.click(screen.getAllByRole("button", { name: /^Restore/ })[0] as HTMLElement);
    const dialog = within(screen.getByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Restore position" }));
    expect((await dialog.findByRole("link", { name: "View that run" })).getAttribute("href")).toBe(
      `/runs/${RUN}`,
    );
  });
});
