// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it } from "vitest";
import { router } from "./router";
import { openPage, startApp } from "./test-app";

afterEach(cleanup);

const PREVIEW = {
  ok: true,
  records: [{ airport: "JFK" }],
  rejected: 0,
  skipped: 0,
  columns: [{ name: "airport", type: "string", nullable: false }],
  ms: 1,
  read_as: "",
  failure: null,
};
const RUN = {
  id: "r1",
  status: "failed",
  pipeline: { id: "p1", name: "Weather to DuckDB 2" },
  progress: { written: 0 },
  failure: { message: "The disk is full" },
};
const MEMBER = ["pipelines.edit", "pipelines.run", "data.view", "read"];

/** Answers as a server on which "Weather to DuckDB" exists already. Returns the names of the pipelines that were asked for. */
function answerStart(permissions: string[]): string[] {
  const names: string[] = [];
  startApp(permissions, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/v1/pipelines/preview") return Response.json(PREVIEW);
    if (pathname === "/api/v1/pipelines/p1/run") return Response.json(RUN, { status: 201 });
    if (pathname === "/api/v1/runs/r1") return Response.json(RUN);
    if (pathname === "/api/v1/pipelines" && request.method === "POST") {
      const { name } = (await request.json()) as { name: string };
      names.push(name);
      if (names.length > 1) return Response.json({ id: "p1", name }, { status: 201 });
      return Response.json(
        { title: "Conflict", status: 409, detail: "The name is taken.", code: "name_taken", errors: [] },
        { status: 409 },
      );
    }
    return Response.json({ results: [], next: null, count: 0 });
  });
  return names;
}

it("goes from sample data to the first run with one more click, and to its page if it fails", async () => {
  const names = answerStart(MEMBER);
  await openPage("/start");
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

it("tells a viewer which permission the first steps need", async () => {
  answerStart(["read"]);
  await openPage("/start");
  expect(await screen.findByText(/You need the permission to create pipelines/)).toBeTruthy();
});
