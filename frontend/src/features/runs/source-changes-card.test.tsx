// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { NEW_COLUMN } from "@/components/source-changes/test-change";
import { openPage, startApp } from "@/test-app";

const run = {
  id: "r1",
  pipeline: { id: "p1", name: "Flights" },
  status: "failed",
  created_at: "2026-01-01T00:00:00Z",
  progress: { read: 0, written: 0, rejected: 0, skipped: 0, bytes: 0, iterations: 0, total: null },
  attempts: [],
  failure: null,
  streams_total: 1,
  streams_failed: 1,
  streams_succeeded: 0,
};

afterEach(cleanup);
afterEach(() => vi.unstubAllGlobals());

async function open(decision: string | null) {
  const asked: string[] = [];
  startApp(["read"], (request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/api/v1/runs/r1") return Promise.resolve(Response.json(run));
    if (pathname === "/api/v1/pipelines/p1/drift") {
      asked.push(searchParams.get("run") ?? "");
      const results = [{ ...NEW_COLUMN, decision }];
      return Promise.resolve(Response.json({ results, next: null, previous: null, count: 51 }));
    }
    return Promise.resolve(
      Response.json({ results: [], lines: [], next: null, next_offset: null, count: 0, moments: [] }),
    );
  });
  await openPage("/runs/r1");
  const card = await screen.findByRole("region", { name: "Changes at the source" });
  expect(asked).toEqual(["r1"]);
  return within(card);
}

describe("the changes at the source that a run has found", () => {
  it("lead to the page on which they are decided", async () => {
    const card = await open(null);
    expect(card.getByText(/new column gate \(text\)/).textContent).toContain(
      "Runs fail until it is accepted",
    );
    expect(card.getByRole("link").getAttribute("href")).toBe("/pipelines/p1");
    expect(card.getByText("and 50 more")).toBeTruthy();
  });

  it("say that they are decided", async () => {
    const card = await open("accept");
    expect(card.getByText(/Accepted\./)).toBeTruthy();
    expect(card.queryByRole("link")).toBeNull();
  });
});
