// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import type { Permission, ReplayableStream, Run } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";

const run = part<Run>({
  id: "r1",
  pipeline: { id: "p1", name: "Flights" },
  domain_id: null,
  status: "succeeded",
  trigger: "manual",
  replay_of: null,
  upstream_runs: [],
  created_at: "2026-01-01T00:00:00Z",
  progress: { read: 9, written: 4, rejected: 5, skipped: 0, bytes: 0, iterations: 0, total: null },
  attempts: [],
  failure: null,
  streams_total: 1,
  streams_failed: 0,
  streams_succeeded: 1,
});
const REFUSAL = "The run has not published the stream.";
const stream = (name: string, values: Partial<ReplayableStream> = {}): ReplayableStream => ({
  stream: name,
  rejected: 5,
  sendable: 5,
  refusal: "",
  replay_id: null,
  ...values,
});

const NO_LINES = { lines: [], next_offset: null, note: "", total: 0, complete: true, offset: 0, removed: 0 };
let known: ReplayableStream[];
let sent: unknown[];

startServer(
  http.get("/api/v1/runs/{id}", ({ params, response }) =>
    response(200).json(
      params.id === "r2" ? { ...run, id: "r2", trigger: "replay", replay_of: "r1", status: "failed" } : run,
    ),
  ),
  http.get("/api/v1/runs/{id}/rejected/replay", ({ response }) => response(200).json({ results: known })),
  http.post("/api/v1/runs/{id}/rejected/replay", async ({ request, response }) => {
    sent.push(await request.json());
    return response(201).json({ ...run, id: "r2" });
  }),
  http.get("/api/v1/runs/{id}/rejected", ({ response }) =>
    response(200).json({ kind: "rejected", count: 0, kept: 0, results: [], next_offset: null, note: "" }),
  ),
  http.get("/api/v1/runs/{id}/logs", ({ response }) => response(200).json(NO_LINES)),
  EMPTY_LISTS,
);

afterEach(cleanup);

/** Opens the run, and returns the bodies that were posted. */
async function open(
  permissions: Permission[],
  streams: ReplayableStream[],
  title = "Send rejected records again",
) {
  [known, sent] = [streams, []];
  startApp(permissions);
  await openPage("/runs/r1");
  const region = await screen.findByRole("region", { name: title });
  return { sent, section: within(region) };
}

describe("sending rejected records again", () => {
  it("starts a run for a stream, and opens it", async () => {
    const { sent, section } = await open(["read", "pipelines.run"], [stream("a"), stream("b")]);
    await userEvent.click(section.getByRole("button", { name: /^Send again.*of b$/ }));
    expect(await screen.findByRole("link", { name: "Rejected records of a run" })).toBeDefined();
    expect(sent).toEqual([{ streams: ["b"] }]);
  });

  it("starts a run for all streams that allow it", async () => {
    const { sent, section } = await open(["read", "pipelines.run"], [stream("a"), stream("b")]);
    await userEvent.click(section.getByRole("button", { name: "Send all again" }));
    await screen.findByRole("link", { name: "Rejected records of a run" });
    expect(sent).toEqual([{ streams: null }]);
  });

  it("is disabled with the reason, and names what is not kept", async () => {
    const { section } = await open(
      ["read", "pipelines.run"],
      [stream("a", { refusal: REFUSAL, sendable: 3 }), stream("b")],
    );
    expect(section.getByText(/3 of 5\srecords are kept whole\. The run has not/)).toBeDefined();
    const button = section.getByRole("button", { name: /^Send again.*of a$/ });
    expect(button.getAttribute("aria-disabled")).toBe("true");
    expect(section.queryByRole("button", { name: "Send all again" })).toBeNull();
  });

  it("shows a reader the state, the run that has sent the records, and who may send them, and no button", async () => {
    const sentBefore = stream("a", { refusal: "Sent before.", replay_id: "r2" });
    const { section } = await open(["read"], [sentBefore], "Rejected records of each stream");
    expect(section.getByText(/^Members who may run this pipeline can send/)).toBeDefined();
    expect(section.getByRole("link", { name: "Open that run" }).getAttribute("href")).toBe("/runs/r2");
    expect(section.queryByRole("button")).toBeNull();
  });
});
