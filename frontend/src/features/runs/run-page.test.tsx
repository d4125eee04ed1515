// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http as untyped, HttpResponse } from "msw";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { queryKeys } from "@/api/query-keys";
import { queryClient } from "@/query-client";
import { openPage, startApp } from "@/test-app";
import { http, logIn, startServer } from "@/test-server";

const ID = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
const SUCCESS = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12";
const progress = {
  read: 0, written: 0, rejected: 0, skipped: 0, bytes: 0, iterations: 0, total: null, rate: null, eta_seconds: null, at: null,
}; // prettier-ignore
const run = {
  id: ID,
  pipeline: { id: "p1", name: "طلبات 🛒 ".repeat(20) },
  domain_id: null,
  version: 3,
  status: "failed" as const,
  trigger: "schedule" as const,
  kind: "ordinary" as const,
  triggered_by: null,
  triggered_by_name: null,
  schedule_id: null,
  slot: null,
  replay_of: null,
  upstream_runs: [],
  attempt: 2,
  max_attempts: 3,
  waiting_reason: null,
  place_in_line: null,
  not_before: null,
  cancel_requested: false,
  timeout_seconds: 21600,
  created_at: "2026-03-01T06:00:00Z",
  started_at: "2026-03-01T06:00:00Z",
  finished_at: "2026-03-01T06:01:00Z",
  duration_seconds: 60,
  progress,
  failure: {
    class: "source" as const,
    message: "the connection was lost",
    evidence: [],
    retryable: true,
    next_step: "Test the source's connector, then retry.",
    sides: ["source" as const],
    setting: null,
  },
  streams_total: 1,
  streams_failed: 1,
  streams_succeeded: 0,
  event_sequence: 9,
  log_lines: 40,
  attempts: [],
  records_readable: true,
};
const line = (number: number) => ({
  line: number,
  at: "2026-03-01T06:00:00Z",
  level: number === 30 ? ("error" as const) : ("info" as const),
  message: number % 10 === 0 ? `lost page ${number}` : `page ${number}`,
  fields: {},
});

const server = startServer(
  http.get("/api/v1/runs/{id}", ({ response }) => response(200).json(run)),
  http.get("/api/v1/runs/{id}/logs", ({ request, response }) => {
    const query = new URL(request.url).searchParams;
    const lines = Array.from({ length: 40 }, (_, number) => line(number))
      .filter(({ level }) => query.get("level") !== "error" || level === "error")
      .filter(({ message }) => message.includes(query.get("q") ?? ""))
      .filter((each) => each.line >= Number(query.get("offset")));
    return response(200).json({
      offset: 0, lines, next_offset: null, total: 40, complete: true, removed: 0, note: "",
    }); // prettier-ignore
  }),
  http.get("/api/v1/runs/{id}/logs/matches", ({ response }) =>
    response(200).json({ parts: [{ first_line: 0, lines: 40, matches: 4 }], next_offset: null, total: 40 }),
  ),
  http.get("/api/v1/runs", ({ response }) => {
    const results = [{ ...run, id: SUCCESS, status: "succeeded" as const }];
    return response(200).json({ results, next: null, previous: null, count: 1 });
  }),
  http.get("/api/v1/runs/{id}/outputs", ({ response }) => response(200).json({ results: [] })),
  http.get("/api/v1/runs/{id}/rejected", ({ response }) =>
    response(200).json({ kind: "rejected", count: 0, kept: 0, results: [], next_offset: null, note: "" }),
  ),
  http.get("/api/v1/pipelines/{id}/drift", ({ response }) =>
    response(200).json({ results: [], next: null, previous: null, count: 0 }),
  ),
  untyped.get("*/api/v1/pipelines/*", () => HttpResponse.json({}, { status: 404 })),
  untyped.get("*/api/v1/*", () => HttpResponse.json({ results: [], next: null, count: 0 })),
);

beforeEach(() => {
  startApp(["read", "pipelines.run", "agent.use"]);
  Object.defineProperty(HTMLElement.prototype, "clientHeight", { configurable: true, value: 400 });
});
afterEach(cleanup);

const logLines = () => screen.getByRole("log").textContent;

describe("the page of a run", () => {
  it("searches the log, and goes from match to match, and keeps the search in the address", async () => {
    await openPage(`/runs/${ID}`);
    await screen.findByText("page 3");
    await userEvent.type(screen.getByRole("searchbox", { name: "Search the log" }), "lost");
    await screen.findByText(/4 of 40/);
    await waitFor(() => expect(logLines()).not.toContain("page 3 "));
    await waitFor(() => expect(location.search).toBe("?q=lost"));

    await userEvent.click(screen.getByRole("button", { name: "Next match" }));
    await userEvent.click(screen.getByRole("button", { name: "Next match" }));
    await screen.findByText("2 of 4");
    expect(Object.fromEntries(new URLSearchParams(location.search))).toEqual({ q: "lost", line: "11" });
  });

  it("leads to the first error, the last success, a retry and the agent", async () => {
    await openPage(`/runs/${ID}`);
    await userEvent.click(await screen.findByRole("button", { name: "First error" }));
    await waitFor(() => expect(location.search).toBe("?line=31"));
    expect(document.querySelector("[aria-current=location]")?.textContent).toContain("lost page 30");
    const compare = await screen.findByRole("link", { name: /^Compare/ });
    expect(compare.getAttribute("href")).toBe(`/runs/${ID}/compare/${SUCCESS}`);
    expect(screen.getAllByRole("button", { name: "Retry" })).toHaveLength(2);
    expect(screen.getByRole("button", { name: "Explain this failure" })).toBeTruthy();
  });

  it("after a retry, the heading of the new run has the focus of the button", async () => {
    server.use(
      untyped.post("*/api/v1/runs/*/retry", () =>
        HttpResponse.json({ ...run, id: SUCCESS }, { status: 201 }),
      ),
    );
    await openPage(`/runs/${ID}`);
    await userEvent.click((await screen.findAllByRole("button", { name: "Retry" }))[0]!);
    await waitFor(() => expect(location.pathname).toBe(`/runs/${SUCCESS}`));
    const heading = await screen.findByRole("heading", { level: 1, name: /^Run .*Failed/ });
    expect(document.activeElement).toBe(heading);
  });

  it("leads to the records, or says where they are if the destination stores none", async () => {
    logIn(["read", "data.view"]);
    const published = { ...run, status: "succeeded" as const, failure: null, streams_succeeded: 1 };
    server.use(
      untyped.get(`*/api/v1/runs/${ID}`, () => HttpResponse.json({ ...published, records_readable: true })),
    );
    await openPage(`/runs/${ID}`);
    await screen.findByRole("link", { name: "Look at the records" });
    server.use(
      untyped.get(`*/api/v1/runs/${ID}`, () => HttpResponse.json({ ...published, records_readable: false })),
    );
    await queryClient.invalidateQueries({ queryKey: queryKeys.runs.one(ID) });
    await screen.findByText(/stores no records\. What it shows of them is in the log/);
    expect(screen.queryByRole("link", { name: "Look at the records" })).toBeNull();
  });

  it("offers a retry only to those who may run pipelines in the domain of the run", async () => {
    logIn(["read"], [{ id: "d1", permissions: ["read", "pipelines.run"] }]);
    await openPage(`/runs/${ID}`);
    await screen.findByText("page 3");
    expect(screen.queryByRole("button", { name: "Retry" })).toBeNull();

    server.use(
      http.get("/api/v1/runs/{id}", ({ response }) => response(200).json({ ...run, domain_id: "d1" })),
    );
    await queryClient.invalidateQueries({ queryKey: queryKeys.runs.one(ID) });
    expect(await screen.findAllByRole("button", { name: "Retry" })).toHaveLength(2);
  });

  it("offers to cancel only to those who may in the domain of the run", async () => {
    const live = { ...run, status: "running" as const, failure: null, finished_at: null };
    server.use(http.get("/api/v1/runs/{id}", ({ response }) => response(200).json(live)));
    logIn(["read"], [{ id: "d1", permissions: ["read", "runs.cancel"] }]);
    await openPage(`/runs/${ID}`);
    await screen.findByText("page 3");
    expect(screen.queryByRole("button", { name: "Cancel run" })).toBeNull();

    server.use(
      http.get("/api/v1/runs/{id}", ({ response }) => response(200).json({ ...live, domain_id: "d1" })),
    );
    await queryClient.invalidateQueries({ queryKey: queryKeys.runs.one(ID) });
    expect(await screen.findByRole("button", { name: "Cancel run" })).toBeTruthy();
  });

  it("shows in the place of the records that a watched run has failed, and the whole failure on request", async () => {
    const live = { ...run, status: "running" as const, failure: null, finished_at: null };
    server.use(http.get("/api/v1/runs/{id}", ({ response }) => response(200).json(live)));
    await openPage(`/runs/${ID}`);
    await screen.findByRole("region", { name: "Records" });

    server.use(http.get("/api/v1/runs/{id}", ({ response }) => response(200).json(run)));
    await queryClient.invalidateQueries({ queryKey: queryKeys.runs.one(ID) });
    await screen.findByText("The connection was lost", { exact: false });
    expect(screen.queryByRole("region", { name: "Records" })).toBeNull();
    expect(screen.queryByText("Next step:")).toBeNull();

    await userEvent.click(screen.getByRole("button", { name: "What to do" }));
    expect(screen.getByText("Next step:")).toBeTruthy();
    expect(screen.getByRole("button", { name: "Explain this failure" })).toBeTruthy();
  });

  it("keeps the page if only the log cannot be read, and reads it again", async () => {
    server.use(untyped.get("*/api/v1/runs/*/logs", () => HttpResponse.json({}, { status: 500 })));
    await openPage(`/runs/${ID}`);
    const tryAgain = await screen.findAllByRole("button", { name: /Try again/ });
    expect(screen.getByText("The connection was lost", { exact: false })).toBeTruthy();
    server.resetHandlers();
    await userEvent.click(tryAgain[0]!);
    await screen.findByText("page 3");
  });

  it("says that the server cannot be reached", async () => {
    server.use(http.get("/api/v1/runs/{id}", () => HttpResponse.error()));
    await openPage(`/runs/${ID}`);
    expect(await screen.findByText(/cannot be reached/)).toBeTruthy();
  });
});
