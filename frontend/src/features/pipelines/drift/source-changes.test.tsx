// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { SourceChange } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { NEW_COLUMN } from "@/components/source-changes/test-change";
import { changeInWords } from "@/components/source-changes/words";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const pipeline = {
  id: ID,
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
  schedule: null as object | null,
  next_run_at: null,
  last_run: null,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
  timeout_seconds: 3600,
  max_attempts: 3,
  warnings: [],
  config: {
    source: { connector_id: null, kind: "postgres", config: {} },
    streams: [],
    destination: { connector_id: null, kind: "parquet", config: {} },
  },
};
afterEach(cleanup);
afterEach(() => vi.unstubAllGlobals());

/** Shows the page of the pipeline with one change, and returns the decisions that were sent. */
async function open(permissions: string[], schedule: object | null = null) {
  const decisions: unknown[] = [];
  let changes = [NEW_COLUMN];
  startApp(permissions, async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && pathname.endsWith("/drift/c1")) {
      decisions.push(await request.json());
      changes = [];
      return Response.json(NEW_COLUMN);
    }
    if (pathname.endsWith("/drift")) {
      return Response.json({ results: changes, next: null, previous: null, count: changes.length });
    }
    if (pathname === `/api/v1/pipelines/${ID}`) {
      return Response.json({ ...pipeline, schedule }, { headers: { ETag: '"1"' } });
    }
    return Response.json({ results: [], runs: [], next: null });
  });
  await openPage(`/pipelines/${ID}`);
  return decisions;
}

describe("the changes at the source of a pipeline", () => {
  it("are accepted one by one, and are gone afterwards", async () => {
    const decisions = await open(["read", "pipelines.edit"]);
    const card = await screen.findByRole("region", { name: "Changes at the source" });
    expect(within(card).getByText(/new column gate \(text\)/)).toBeTruthy();
    expect(within(card).getByText(/Runs fail until it is accepted/)).toBeTruthy();
    expect(within(card).queryByRole("button", { name: /^Pause schedule/ })).toBeNull();
    await userEvent.click(within(card).getByRole("button", { name: /^Accept: flights, new column gate/ }));
    await waitFor(() => expect(screen.queryByText("Changes at the source")).toBeNull());
    expect(decisions).toEqual([{ decision: "accept" }]);
  });

  it("can pause the schedule", async () => {
    const schedule = { cron: "0 6 * * *", interval_seconds: null, timezone: "UTC", paused_at: null };
    const decisions = await open(["read", "pipelines.edit"], schedule);
    await userEvent.click(await screen.findByRole("button", { name: /^Pause schedule: flights/ }));
    await waitFor(() => expect(decisions).toEqual([{ decision: "pause" }]));
  });

  it("are shown to a viewer without buttons", async () => {
    await open(["read"]);
    const card = await screen.findByRole("region", { name: "Changes at the source" });
    expect(within(card).queryAllByRole("button")).toEqual([]);
  });

  it("are told in words", () => {
    const words = (change: Partial<SourceChange>) => changeInWords({ ...NEW_COLUMN, ...change });
    expect(words({ after: "" })).toBe("new column gate");
    expect(words({ kind: "column_removed", before: "text" })).toBe("column gate (text) is gone");
    expect(words({ kind: "type_changed", before: "int", after: "text" })).toBe(
      "column gate was int and is text now",
    );
    expect(words({ kind: "key_changed", before: "id", after: "" })).toBe(
      "the primary key was id and is none now",
    );
    expect(words({ kind: "stream_missing" })).toMatch(/no longer has this stream/);
  });
});
