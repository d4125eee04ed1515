// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DependencyGraph } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, startServer } from "@/test-server";
import { placesOf } from "./layers";

const REASON = "Waits for Orders, which failed at 2026-11-22 05:00 UTC.";
let graph: DependencyGraph;

function node(id: string, changes: Partial<DependencyGraph["pipelines"][number]> = {}) {
  return {
    id,
    name: id,
    enabled: true,
    mode: "all" as const,
    state: "none" as const,
    reason: "",
    is_running: false,
    last_success_at: null,
    failing_since: null,
    ...changes,
  };
}
const edge = (upstream_id: string, pipeline_id: string) => ({ upstream_id, pipeline_id });

startServer(
  http.get("/api/v1/dependencies", ({ response }) => response(200).json(graph)),
  EMPTY_LISTS,
);

beforeEach(() => {
  graph = {
    pipelines: [
      node("Orders", { failing_since: "2026-11-22T05:00:00Z" }),
      node("Report", { state: "blocked", reason: REASON }),
    ],
    edges: [edge("Orders", "Report")],
  };
  startApp(["read"]);
});
afterEach(cleanup);

describe("the page of dependencies", () => {
  it("lists what each pipeline runs after, and why it waits", async () => {
    await openPage("/dependencies");
    const list = within(await screen.findByRole("list", { name: "Pipelines" }));
    const [orders, report] = list.getAllByRole("listitem");
    expect(orders!.textContent).toContain("Failed");
    expect(report!.textContent).toContain("After Orders");
    expect(report!.textContent).toContain(REASON);
    const link = within(report!).getByRole("link", { name: "Report" });
    expect(link.getAttribute("href")).toBe("/pipelines/Report/schedule");
  });

  it.each([
    ["all", "After Orders and Customers"],
    ["any", "After Orders or Customers"],
  ] as const)("says whether a pipeline waits for all of the others or for one (%s)", async (mode, words) => {
    graph = {
      pipelines: [node("Orders"), node("Customers"), node("Report", { mode })],
      edges: [edge("Orders", "Report"), edge("Customers", "Report")],
    };
    await openPage("/dependencies");
    const list = await screen.findByRole("list", { name: "Pipelines" });
    expect(list.textContent).toContain(words);
  });

  it("says what to do if there are none", async () => {
    graph = { pipelines: [], edges: [] };
    await openPage("/dependencies");
    expect(await screen.findByText("No pipeline runs after another one")).toBeTruthy();
  });
});

describe("the layers of the drawing", () => {
  it("put a pipeline behind all those after which it runs, and close to them", () => {
    const places = placesOf({
      pipelines: ["A", "B", "C", "D", "E"].map((id) => node(id)),
      edges: [edge("A", "D"), edge("B", "C"), edge("C", "E"), edge("A", "E")],
    });
    const found = Object.fromEntries(places.map(({ pipeline, layer, row }) => [pipeline.id, [layer, row]]));
    expect(found).toEqual({ A: [0, 0], B: [0, 1], D: [1, 0], C: [1, 1], E: [2, 0] });
  });
});
