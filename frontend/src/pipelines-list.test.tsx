// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { BulkAnswer, Permission, PipelineFacets, PipelineRow, RecentRun } from "./api/types";
import { openPage, startApp } from "./test-app";
import { EMPTY_LISTS, http, noteRequests, part, refusal, startServer, type Part } from "./test-server";
import { router } from "./router";

const RUN: RecentRun = {
  id: "r1",
  status: "failed",
  created_at: "2026-11-29T10:00:00Z",
  duration_seconds: 65,
  records: 12,
};

function pipeline(number: number, more: Part<PipelineRow> = {}) {
  return part<PipelineRow>({
    id: `00000000-0000-4000-8000-00000000000${number}`,
    name: `Pipeline ${number}`,
    description: "",
    domain: null,
    tags: [],
    enabled: true,
    version: 1,
    source_kind: "postgres",
    destination_kind: "parquet",
    stream: "orders",
    stream_count: 1,
    schedule: null,
    next_run_at: null,
    last_run: null,
    freshness: "none",
    last_success_at: null,
    failing_since: null,
    late_at: null,
    created_at: "2026-11-20T08:00:00Z",
    updated_at: "2026-11-20T08:00:00Z",
    ...more,
  });
}

const ROWS = [
  pipeline(1, { domain: { id: "d1", name: "Marketing" }, tags: ["daily"] }),
  pipeline(2, { freshness: "failing", failing_since: "2026-11-29T10:00:00Z" }),
  pipeline(3, { source_kind: "files" }),
];
const NO_FACETS: Omit<PipelineFacets, "source"> = {
  domain: [],
  destination: [],
  tag: [],
  status: [],
  freshness: [],
  enabled: [],
};

type LastRun = NonNullable<PipelineRow["last_run"]>;
let rows: PipelineRow[];
let bulk: BulkAnswer;

const server = startServer(
  http.get("/api/v1/pipelines", ({ response }) => response(200).json(page(rows))),
  http.get("/api/v1/pipelines/facets", ({ response }) => {
    const source = [{ value: "postgres", label: "PostgreSQL", count: 2 }];
    return response(200).json({ ...NO_FACETS, source });
  }),
  http.get("/api/v1/pipelines/recent-runs", ({ response }) =>
    response(200).json({ results: [{ pipeline_id: rows[0]!.id, runs: [RUN] }] }),
  ),
  http.get("/api/v1/pipelines/{id}", ({ response }) => response.untyped(refusal(404))),
  http.post("/api/v1/pipelines/bulk", ({ response }) => response(200).json(bulk)),
  http.get("/api/v1/views", ({ response }) =>
    response(200).json(page([part({ id: "v1", name: "Broken", filter: { status: "failed" } })])),
  ),
  EMPTY_LISTS,
);
const requests = noteRequests(server);

function page<Row>(results: Row[]) {
  return { results, next: null, previous: null, count: results.length };
}

function start(permissions: Permission[], shown = ROWS) {
  rows = shown;
  startApp(permissions);
  // jsdom has no layout: without a height, the window would show no lines.
  vi.stubGlobal("innerHeight", 800);
}

const MEMBER: Permission[] = ["read", "pipelines.edit", "pipelines.run"];
const lines = () => screen.getAllByRole("row").slice(1);
const lastRequest = (path: string) => requests.findLast(({ url }) => url.pathname === path);

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("the list of pipelines", () => {
  it("shows the newest runs, as links with their result in words under the mouse", async () => {
    start(MEMBER);
    await openPage("/pipelines");
    const summary = await screen.findByText(/^1\srun: 1 failed$/);
    await userEvent.hover(summary.nextElementSibling!);
    const run = screen.getByTitle(/^Failed, .*1\smin\s05\ss, 12\srecords$/);
    expect(run.getAttribute("href")).toBe("/runs/r1");
    expect(await screen.findAllByRole("img", { name: "From PostgreSQL" })).toHaveLength(2);
  });

  it("moves by arrow keys and j and k, selects by space, and opens by Enter", async () => {
    start(MEMBER);
    await openPage("/pipelines");
    await screen.findByText("Pipeline 1");
    lines()[0]!.focus();
    await userEvent.keyboard("{ArrowDown}");
    await waitFor(() => expect(document.activeElement).toBe(lines()[1]));
    await userEvent.keyboard(" {Shift>}{ArrowDown}{/Shift}");
    expect(await screen.findByText("2 selected")).toBeTruthy();
    await waitFor(() => expect(document.activeElement).toBe(lines()[2]));
    await userEvent.keyboard("k");
    await waitFor(() => expect(document.activeElement).toBe(lines()[1]));
    await userEvent.keyboard("{Enter}");
    await waitFor(() => expect(router.state.location.pathname).toBe(`/pipelines/${ROWS[1]!.id}`));
  });

  it("is entered by j after a click in the navigation", async () => {
    start(MEMBER);
    await openPage("/pipelines");
    await screen.findByText("Pipeline 1");
    await userEvent.click(screen.getByRole("link", { name: "Pipelines" }));
    await userEvent.keyboard("j");
    await waitFor(() => expect(document.activeElement).toBe(lines()[0]));
  });

  it("is grouped by headings that can be closed", async () => {
    start(MEMBER);
    await openPage("/pipelines?group=domain");
    const heading = await screen.findByRole("row", { name: /^Marketing/ });
    expect(lines()).toHaveLength(5);
    await userEvent.click(heading);
    await waitFor(() => expect(lines()).toHaveLength(4));
    expect(screen.queryByText("Pipeline 1")).toBeNull();
  });

  it("has filters with counts, which Back undoes", async () => {
    start(MEMBER);
    await openPage("/pipelines");
    await screen.findByRole("option", { name: "PostgreSQL (2)" });
    await userEvent.selectOptions(screen.getByLabelText("Source"), "PostgreSQL (2)");
    await waitFor(() =>
      expect(lastRequest("/api/v1/pipelines")!.url.search).toBe("?source=postgres&limit=1000"),
    );
    router.history.back();
    await waitFor(() => expect(router.state.location.search).toEqual({}));
  });

  it("opens a saved view", async () => {
    start(MEMBER);
    await openPage("/pipelines");
    await userEvent.click(await screen.findByRole("link", { name: "Broken" }));
    await waitFor(() => expect(router.state.location.search).toEqual({ status: "failed" }));
  });
});

describe("an action on several pipelines", () => {
  it("says which pipelines were not started and why", async () => {
    const problem = { status: 423, code: "disabled", detail: "The pipeline is disabled." };
    start(MEMBER);
    bulk = {
      results: ROWS.map(({ id }, index) => ({ id, ok: index > 0, problem: index > 0 ? null : problem })),
      succeeded: 2,
      failed: 1,
    };
    await openPage("/pipelines");
    await userEvent.click(await screen.findByRole("checkbox", { name: /^Select all 3/ }));
    const bar = screen.getByRole("region", { name: "Selected pipelines" });
    await userEvent.click(within(bar).getByRole("button", { name: "Run" }));
    const alert = await screen.findByRole("alert");
    expect(alert.textContent).toMatch(/2\spipelines started\. 1\spipeline could not be started:/);
    expect(alert.textContent).toContain("Pipeline 1: The pipeline is disabled.");
    expect(lastRequest("/api/v1/pipelines/bulk")!.body).toEqual({
      ids: ROWS.map(({ id }) => id),
      action: "run",
    });
  });

  it("selects the lines between two by the Shift key", async () => {
    start(MEMBER);
    await openPage("/pipelines");
    const user = userEvent.setup();
    await user.click(await screen.findByRole("checkbox", { name: "Select Pipeline 1" }));
    await user.keyboard("{Shift>}");
    await user.click(screen.getByRole("checkbox", { name: "Select Pipeline 3" }));
    expect(await screen.findByText("3 selected")).toBeTruthy();
  });

  it("is not offered to a viewer", async () => {
    start(["read"]);
    await openPage("/pipelines");
    await screen.findByText("Pipeline 1");
    expect(screen.queryByRole("checkbox")).toBeNull();
    expect(screen.queryByRole("button", { name: /^Run / })).toBeNull();
  });
});

it.each<[LastRun["kind"], LastRun["status"], string, string]>([
  ["ordinary", "running", "Running", "A run is in progress."],
  ["backfill", "running", "Backfill running", "A backfill is in progress."],
  ["backfill", "pending", "Backfill waiting", "A backfill is in progress."],
  ["replay", "running", "Sending again", "Rejected records are being sent again."],
])("a run of the kind %s that is %s is shown as %s", async (kind, status, words, reason) => {
  start(MEMBER, [pipeline(1, { last_run: { id: "r1", status, kind, finished_at: null, records: null } })]);
  await openPage("/pipelines");
  await screen.findByText("Pipeline 1");
  const badge = within(lines()[0]!).getByText(words);
  expect(badge.dataset.status).toBe(status);
  expect(screen.getByRole("button", { name: "Run Pipeline 1" }).title).toBe(reason);
});
