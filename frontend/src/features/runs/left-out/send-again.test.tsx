// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openPage, startApp } from "@/test-app";

const run = {
  id: "r1",
  pipeline: { id: "p1", name: "Flights" },
  domain_id: null,
  status: "succeeded",
  trigger: "manual",
  replay_of: null,
  created_at: "2026-01-01T00:00:00Z",
  progress: { read: 9, written: 4, rejected: 5, skipped: 0, bytes: 0, iterations: 0, total: null },
  attempts: [],
  failure: null,
  streams_total: 1,
  streams_failed: 0,
  streams_succeeded: 1,
};
const REFUSAL = "The run has not published the stream.";
const stream = (name: string, values: object = {}) => ({
  stream: name,
  rejected: 5,
  sendable: 5,
  refusal: "",
  replay_id: null,
  ...values,
});

afterEach(cleanup);
afterEach(() => vi.unstubAllGlobals());

/** Opens the run, and returns the bodies that were posted. */
async function open(permissions: string[], streams: object[]) {
  const sent: unknown[] = [];
  startApp(permissions, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/v1/runs/r1") return Response.json(run);
    if (pathname === "/api/v1/runs/r2")
      return Response.json({ ...run, id: "r2", trigger: "replay", replay_of: "r1", status: "failed" });
    if (pathname === "/api/v1/runs/r1/rejected/replay") {
      if (request.method === "GET") return Response.json({ results: streams });
      sent.push(await request.json());
      return Response.json({ ...run, id: "r2" }, { status: 201 });
    }
    return Response.json({
      ...{ results: [], lines: [], next: null, next_offset: null, count: 0, moments: [] },
      ...{ kind: "rejected", kept: 0, note: "" },
    });
  });
  await openPage("/runs/r1");
  const part = await screen.findByRole("region", { name: "Send rejected records again" });
  return { sent, part: within(part) };
}

describe("sending rejected records again", () => {
  it("starts a run for a stream, and opens it", async () => {
    const { sent, part } = await open(["read", "pipelines.run"], [stream("a"), stream("b")]);
    await userEvent.click(part.getByRole("button", { name: /^Send again.*of b$/ }));
    expect(await screen.findByRole("link", { name: "Rejected records of a run" })).toBeDefined();
    expect(sent).toEqual([{ streams: ["b"] }]);
  });

  it("starts a run for all streams that allow it", async () => {
    const { sent, part } = await open(["read", "pipelines.run"], [stream("a"), stream("b")]);
    await userEvent.click(part.getByRole("button", { name: "Send all again" }));
    await screen.findByRole("link", { name: "Rejected records of a run" });
    expect(sent).toEqual([{ streams: null }]);
  });

  it("is disabled with the reason, and names what is not kept", async () => {
    const { part } = await open(
      ["read", "pipelines.run"],
      [stream("a", { refusal: REFUSAL, sendable: 3 }), stream("b")],
    );
    expect(part.getByText(/3 of 5\srecords are kept whole\. The run has not/)).toBeDefined();
    const button = part.getByRole("button", { name: /^Send again.*of a$/ });
    expect(button.getAttribute("aria-disabled")).toBe("true");
    expect(part.queryByRole("button", { name: "Send all again" })).toBeNull();
  });

  it("shows a reader the state and the run that has sent the records, and no button", async () => {
    const { part } = await open(["read"], [stream("a", { refusal: "Sent before.", replay_id: "r2" })]);
    expect(part.getByRole("link", { name: "Open that run" }).getAttribute("href")).toBe("/runs/r2");
    expect(part.queryByRole("button")).toBeNull();
  });
});
