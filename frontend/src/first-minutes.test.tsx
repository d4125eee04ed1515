// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it } from "vitest";
import { router } from "./router";
import type { Overview, Permission, Preview, Run } from "./api/types";
import { openPage, startApp } from "./test-app";
import { EMPTY_LISTS, http, part, refusal, startServer } from "./test-server";

afterEach(cleanup);

const PREVIEW = part<Preview>({
  ok: true,
  records: [{ airport: "JFK" }],
  rejected: 0,
  left_out: [],
  skipped: 0,
  columns: [{ name: "airport", type: "string", nullable: false }],
  ms: 1,
  read_as: "",
  failure: null,
});
const RUN = part<Run>({
  id: "r1",
  status: "failed",
  pipeline: { id: "p1", name: "Weather to DuckDB 2" },
  progress: { written: 0 },
  failure: { message: "The disk is full" },
});
const MEMBER: Permission[] = ["pipelines.edit", "pipelines.run", "data.view", "read"];

/** The names of the pipelines that were asked for. "Weather to DuckDB" exists already. */
let names: string[];

const server = startServer(
  http.post("/api/v1/pipelines/preview", ({ response }) => response(200).json(PREVIEW)),
  http.post("/api/v1/pipelines/{id}/run", ({ response }) => response(201).json(RUN)),
  http.get("/api/v1/runs/{id}", ({ response }) => response(200).json(RUN)),
  http.post("/api/v1/pipelines", async ({ request, response }) => {
    const { name } = await request.json();
    names.push(name);
    if (names.length > 1) return response(201).json(part({ id: "p1", name }));
    return response.untyped(refusal(409, { code: "name_taken" }));
  }),
  EMPTY_LISTS,
);

async function openStart(permissions: Permission[], path = "/start") {
  names = [];
  startApp(permissions);
  await openPage(path);
}

it("goes from sample data to the first run with one more click, and to its page if it fails", async () => {
  await openStart(MEMBER);
  await userEvent.click(await screen.findByRole("link", { name: /weather/ }));
  expect(await screen.findByText("JFK")).toBeTruthy();
  expect(screen.getByRole<HTMLInputElement>("radio", { name: /DuckDB/ }).checked).toBe(true);
  await userEvent.click(screen.getByRole("button", { name: "Create pipeline and run" }));
  expect(await screen.findByText(/The disk is full/)).toBeTruthy();
  expect(names).toEqual(["Weather to DuckDB", "Weather to DuckDB 2"]);
  await waitFor(() => expect(router.state.location.search).toEqual({ sample: "weather", run: "r1" }));
  expect(screen.getByRole("link", { name: "See why on the page of the run" }).getAttribute("href")).toBe(
    "/runs/r1",
  );
});

it("the heading gets the focus of the link to the sample, and then of the button that starts the run", async () => {
  const nothing = part<Overview>({ freshness: { failing: 0, late: 0, fresh: 0, none: 0 }, attention: [] });
  server.use(http.get("/api/v1/stats/overview", ({ response }) => response(200).json(nothing)));
  await openStart(MEMBER, "/");
  const expectFocusOnHeading = () =>
    waitFor(() => expect(document.activeElement).toBe(screen.getByRole("heading", { level: 1 })));
  await userEvent.click(await screen.findByRole("link", { name: /weather/ }));
  await screen.findByText("JFK");
  await expectFocusOnHeading();
  await userEvent.click(screen.getByRole("button", { name: "Create pipeline and run" }));
  await screen.findByText(/The disk is full/);
  await expectFocusOnHeading();
});

it("tells a viewer which permission the first steps need", async () => {
  await openStart(["read"]);
  expect(await screen.findByText(/You need the permission to create pipelines/)).toBeTruthy();
});
