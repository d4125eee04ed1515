// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { NEW_COLUMN } from "@/components/source-changes/test-change";
import type { Run, SourceChange } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";

const run = part<Run>({
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
});

let decision: SourceChange["decision"];
let asked: (string | null)[];

startServer(
  http.get("/api/v1/runs/{id}", ({ response }) => response(200).json(run)),
  http.get("/api/v1/pipelines/{id}/drift", ({ query, response }) => {
    asked.push(query.get("run"));
    const results = [{ ...NEW_COLUMN, decision }];
    return response(200).json({ results, next: null, previous: null, count: 51 });
  }),
  http.get("/api/v1/runs/{id}/logs", ({ response }) =>
    response(200).json({
      ...{ offset: 0, lines: [], next_offset: null, total: 0 },
      ...{ complete: true, removed: 0, note: "" },
    }),
  ),
  EMPTY_LISTS,
);

afterEach(cleanup);

async function open(decided: SourceChange["decision"]) {
  [decision, asked] = [decided, []];
  startApp(["read"]);
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
