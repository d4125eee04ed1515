// @vitest-environment jsdom
/** The tables that can be sorted by a column: the order is in the address, and the server sorts. */
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { currentSearch, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, part, startServer } from "@/test-server";

const TIME = "2026-03-01T06:00:00Z";
const ROW = { id: "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11", name: "Orders", updated_at: TIME };
const page = <Row,>(row: Row) => ({ results: [row], next: null, previous: null, count: 1 });
const server = startServer(
  http.get("/api/v1/connectors", ({ response }) =>
    response(200).json(part(page({ ...ROW, role: "source" as const, kind: "postgres" }))),
  ),
  http.get("/api/v1/files", ({ response }) =>
    response(200).json(part(page({ ...ROW, bytes: 1, used_by: [] }))),
  ),
  http.get("/api/v1/custom-sources", ({ response }) => response(200).json(part(page(ROW)))),
  http.get("/api/v1/runs", ({ response }) =>
    response(200).json(
      part(
        page({
          ...ROW,
          pipeline: { id: ROW.id, name: "Orders" },
          status: "succeeded" as const,
          trigger: "manual" as const,
          triggered_by: null,
          created_at: TIME,
          started_at: null,
          progress: { written: 1 },
          failure: null,
        }),
      ),
    ),
  ),
  EMPTY_LISTS,
);
const requests = noteRequests(server);

beforeEach(() => startApp(["read"]));
afterEach(cleanup);

const LISTS: [path: string, standard: string | null, columns: [string, string, string][]][] = [
  [
    "/connectors",
    null,
    [
      ["Name", "name", "ascending"],
      ["Kind", "kind", "ascending"],
      ["Health", "tested", "descending"],
      ["Updated", "updated", "descending"],
    ],
  ],
  [
    "/files",
    "Uploaded",
    [
      ["Name", "name", "ascending"],
      ["Size", "size", "descending"],
    ],
  ],
  [
    "/sources",
    null,
    [
      ["Name", "name", "ascending"],
      ["Updated", "updated", "descending"],
    ],
  ],
  ["/runs", "Created", [["Created", "created_at", "ascending"]]],
];

describe.each(LISTS)("the list at %s", (path, standard, columns) => {
  const header = (name: string) => screen.findByRole("columnheader", { name });
  const lastOrder = () =>
    requests
      .filter(({ url }) => url.pathname.endsWith(path === "/sources" ? "/custom-sources" : path))
      .at(-1)!
      .url.searchParams.get("order");

  it.each(columns)(
    "is sorted by %s with one click, and a second one undoes it",
    async (name, order, direction) => {
      await openPage(path);
      const before = (await header(name)).getAttribute("aria-sort");
      expect(before).toBe(name === standard ? "descending" : null);
      await userEvent.click(screen.getByRole("button", { name }));
      await waitFor(() => expect(currentSearch()).toEqual({ order }));
      await waitFor(() => expect(lastOrder()).toBe(order));
      expect((await header(name)).getAttribute("aria-sort")).toBe(direction);
      expect(screen.queryByRole("button", { name: "Clear filters" })).toBeNull(); // an order is no filter
      await userEvent.click(screen.getByRole("button", { name }));
      await waitFor(() => expect(currentSearch()).toEqual({}));
      expect((await header(name)).getAttribute("aria-sort")).toBe(before);
    },
  );

  it("keeps its order when the filters are cleared", async () => {
    await openPage(`${path}?order=${columns[0]![1]}&q=x`);
    await userEvent.click(await screen.findByRole("button", { name: "Clear filters" }));
    await waitFor(() => expect(currentSearch()).toEqual({ order: columns[0]![1] }));
  });

  it("ignores an order that it does not have", async () => {
    await openPage(`${path}?order=colour`);
    await header(columns[0]![0]);
    expect(lastOrder()).toBeNull();
  });
});
