// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, it } from "vitest";
import type { AttentionItem, Overview, Run, Timeline } from "@/api/types";
import { queryClient } from "@/query-client";
import { openPage, startApp } from "@/test-app";
import { http, refusal, startServer } from "@/test-server";

const RUN_ID = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
const FAILING: AttentionItem = {
  kind: "failing",
  id: "p1",
  name: "Orders",
  cause: "The source has closed the connection.",
  since: "2026-03-01T06:00:00Z",
  pipeline_id: "p1",
  run_id: RUN_ID,
  failure_class: "source",
  retrying: false,
  fixes: [
    { action: "retry", id: RUN_ID, name: "" },
    { action: "open_connector", id: "c1", name: "source Shop" },
  ],
};
const OVERVIEW: Overview = {
  runs: 3,
  succeeded: 2,
  failed: 1,
  cancelled: 0,
  success_rate: 0.9999,
  records: 1_200_000,
  running: 1,
  waiting: 0,
  waiting_reason: null,
  freshness: { failing: 1, late: 2, fresh: 3, none: 4 },
  attention: [FAILING],
  attention_has_more: false,
  queue: [],
  hours: [],
};
const TIMELINE: Timeline = {
  pipelines: [{ id: "p1", name: "Orders" }],
  runs: [],
  has_more: false,
};

const server = startServer(
  http.get("/api/v1/stats/timeline", ({ response }) => response(200).json(TIMELINE)),
);

afterEach(cleanup);

async function openOverview(overview: Overview) {
  server.use(http.get("/api/v1/stats/overview", ({ response }) => response(200).json(overview)));
  startApp(["read", "pipelines.run", "pipelines.edit"]);
  await openPage("/");
}

it("the tiles count the pipelines and lead to their lists", async () => {
  await openOverview(OVERVIEW);
  const tiles = await screen.findByRole("region", { name: "Freshness of the pipelines" });
  const late = await within(tiles).findByRole("link", { name: /^Late ?2/ });
  expect(late.getAttribute("href")).toBe("/pipelines?freshness=late");
  expect(tiles.textContent).toContain("99.9% succeeded");
});

it("an hour with a failed run and others shows how many there were", async () => {
  const hour = {
    start: "2026-03-01T06:00:00Z",
    succeeded: 1,
    failed: 1,
    cancelled: 0,
    records: 990,
    bytes: 9,
  };
  await openOverview({ ...OVERVIEW, hours: [{ ...hour, average_seconds: 2, longest_seconds: 3 }] });
  const table = await screen.findByRole("table", { name: "Runs per hour, failed ones in red" });
  const [names, values] = within(table)
    .getAllByRole("row")
    .map((row) => [...row.children].slice(1).map(({ textContent }) => textContent));
  expect(names).toEqual(["Runs", "Failed"]);
  expect(values).toEqual(["2", "1"]);
});

it("a failing pipeline shows its cause and can be retried in place", async () => {
  const retried: string[] = [];
  server.use(
    http.post("/api/v1/runs/{id}/retry", ({ params, response }) => {
      retried.push(params.id);
      return response(200).json({ id: RUN_ID } as Run);
    }),
  );
  await openOverview(OVERVIEW);
  const list = await screen.findByRole("list", { name: /Needs attention/ });
  expect(list.textContent).toContain("Source: The source has closed the connection.");
  expect(within(list).getByRole("link", { name: /Open source Shop/ })).toBeTruthy();
  await userEvent.click(within(list).getByRole("button", { name: /Retry/ }));
  const started = await within(list).findByRole("link", { name: "Started, open run" });
  expect(started.getAttribute("href")).toBe(`/runs/${RUN_ID}`);
  expect(retried).toEqual([RUN_ID]);
});

it("a refused retry says why beside its button", async () => {
  const refuse = refusal(409, { detail: "A run is in progress." });
  server.use(http.post("/api/v1/runs/{id}/retry", ({ response }) => response.untyped(refuse)));
  await openOverview(OVERVIEW);
  await userEvent.click(await screen.findByRole("button", { name: /Retry/ }));
  expect((await screen.findByRole("alert")).textContent).toContain("A run is in progress.");
});

it("without pipelines it is the guided start", async () => {
  await openOverview({ ...OVERVIEW, freshness: { failing: 0, late: 0, fresh: 0, none: 0 } });
  await waitFor(() => expect(screen.getByRole("heading", { level: 1 }).textContent).toContain("first data"));
});

it("says that nothing needs attention, and then needs little room for it and for the queue", async () => {
  await openOverview({ ...OVERVIEW, attention: [] });
  expect(await screen.findByText("Nothing needs attention")).toBeTruthy();
  for (const name of ["Needs attention", "Queue"])
    expect(screen.getByRole("region", { name }).className).toContain("h-36");
});

it("does not change the room for what needs attention when a pipeline begins to fail", async () => {
  await openOverview({ ...OVERVIEW, attention: [] });
  await screen.findByText("Nothing needs attention");
  server.use(http.get("/api/v1/stats/overview", ({ response }) => response(200).json(OVERVIEW)));
  await queryClient.invalidateQueries();
  await screen.findByRole("button", { name: /Retry/ });
  expect(screen.getByRole("region", { name: /Needs attention/ }).className).toContain("h-36");
});

it.each([
  [{ failing: 0, late: 0, fresh: 1, none: 1 }, 4 * 26],
  [{ failing: 1, late: 1, fresh: 2, none: 3 }, 7 * 26],
  [{ failing: 0, late: 0, fresh: 900, none: 100 }, 10.5 * 26],
])("has a timeline as tall as the pipelines need, for %j", async (freshness, height) => {
  await openOverview({ ...OVERVIEW, freshness });
  const rows = await screen.findByRole("list", { name: /^Runs by pipeline/ });
  expect(rows.parentElement!.style.height).toBe(`${height}px`);
});

it("requests the timeline without waiting for the summary", async () => {
  const requested: string[] = [];
  server.use(
    http.get("/api/v1/stats/overview", () => new Promise<never>(() => undefined)),
    http.get("/api/v1/stats/timeline", ({ request, response }) => {
      requested.push(request.url);
      return response(200).json(TIMELINE);
    }),
  );
  startApp(["read"]);
  await openPage("/");
  await waitFor(() => expect(requested).toHaveLength(1));
});
