// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Queue, RunRow } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, part, startServer } from "@/test-server";

const RUN = part<RunRow>({
  id: "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
  pipeline: { id: "0195d39f-11aa-7f00-8000-1d2f3a4b5c6d", name: "Orders" },
  domain_id: null,
  status: "pending",
  trigger: "manual",
  triggered_by: null,
  triggered_by_name: null,
  attempt: 0,
  waiting_reason: "org limit 1/1",
  place_in_line: 1,
  not_before: null,
  cancel_requested: false,
  created_at: "2026-11-29T10:00:00Z",
  started_at: null,
  progress: { read: 0, written: 0 },
  failure: null,
});
const RUNNING: RunRow = {
  ...RUN,
  id: "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12",
  pipeline: { ...RUN.pipeline, name: "Flights" },
  status: "running",
  attempt: 2,
  place_in_line: null,
  waiting_reason: null,
  started_at: "2026-11-29T10:00:00Z",
};
let queue: Queue;

const server = startServer(
  http.get("/api/v1/queue", ({ response }) => response(200).json(queue)),
  http.post("/api/v1/runs/{id}/cancel", ({ response }) => response(200).json(part({ id: RUN.id }))),
  EMPTY_LISTS,
);
const requests = noteRequests(server);

beforeEach(() => {
  queue = {
    running: 1,
    waiting: 1,
    waiting_since: "2026-11-29T10:00:00Z",
    max_running: 1,
    workers: 1,
    has_worker: true,
    running_runs: [RUNNING],
    waiting_runs: [RUN],
  };
});
afterEach(cleanup);

it("shows what runs, and what waits with its place and its reason", async () => {
  startApp(["read"]);
  await openPage("/queue");
  const waiting = await screen.findByRole("region", { name: /^Waiting/ });
  expect(within(waiting).getByText("org limit 1/1")).toBeTruthy();
  expect(within(waiting).getByTitle("Place in the queue").textContent).toBe("1");
  expect(within(waiting).getByRole("link", { name: "Orders" }).getAttribute("href")).toBe(`/runs/${RUN.id}`);
  const running = screen.getByRole("region", { name: /^Running/ });
  expect(within(running).getByText(/attempt 2, 0 records read/)).toBeTruthy();
  expect(screen.getByText("1 of 1 that the organization may run at once, in 1 worker")).toBeTruthy();
  expect(screen.queryByRole("button", { name: /^Cancel/ })).toBeNull();
});

it("lets those who may cancel runs take one from the queue", async () => {
  startApp(["read", "runs.cancel"]);
  await openPage("/queue");
  await userEvent.click(await screen.findByRole("button", { name: "Cancel the run of Orders" }));
  expect(screen.getByText(/^The run leaves the queue\./)).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Cancel run" }));
  await screen.findByText("Cancelling…");
  expect(requests.filter(({ method }) => method === "POST").map(({ url }) => url.pathname)).toContain(
    `/api/v1/runs/${RUN.id}/cancel`,
  );
});

it("says that no worker is alive, and leads to the runs that are not shown", async () => {
  queue = { ...queue, has_worker: false, workers: 0, waiting: 500 };
  startApp(["read"]);
  await openPage("/queue");
  expect(await screen.findByText(/^No worker is alive/)).toBeTruthy();
  const link = screen.getByRole("link", { name: "All in the list of runs" });
  expect(link.getAttribute("href")).toContain("status=pending");
});
