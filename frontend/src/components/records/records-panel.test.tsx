// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import type { StoredRows } from "@/api/types";
import { http, startServer } from "@/test-server";
import { RecordsPanel } from "./records-panel";

const PATH = "/api/v1/pipelines/{id}/rows";
const RECORDS = 1_000;
const PAGE: StoredRows = {
  ok: true,
  stream: "flights",
  table: "flights",
  destination: "duckdb",
  run_id: "r1",
  written_at: "2026-03-01T06:00:00Z",
  columns: [
    { name: "id", type: "integer", stored_as: "BIGINT" },
    { name: "note", type: "string", stored_as: "VARCHAR" },
  ],
  records: [],
  cut: [],
  total: RECORDS,
  next_offset: null,
  look: "token",
  streams: ["flights"],
  failure: null,
};
const asked: URLSearchParams[] = [];
const server = startServer(
  http.get(PATH, ({ request, response }) => {
    const query = new URL(request.url).searchParams;
    asked.push(query);
    const offset = Number(query.get("offset"));
    const end = offset + Number(query.get("limit"));
    const records = Array.from({ length: end - offset }, (_, n) => [
      `${9_007_199_254_740_993n + BigInt(offset + n)}`,
      null,
    ]);
    return response(200).json({ ...PAGE, records, next_offset: end < RECORDS ? end : null });
  }),
);

afterEach(cleanup);
beforeAll(() => {
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
  // jsdom has no layout.
  for (const [side, pixels] of [
    ["clientHeight", 480],
    ["clientWidth", 900],
  ] as const)
    Object.defineProperty(Element.prototype, side, { configurable: true, value: pixels });
  Element.prototype.scrollTo = () => undefined;
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
});

function show(onSelectStream = vi.fn()) {
  asked.length = 0;
  render(
    <QueryClientProvider client={new QueryClient()}>
      <RecordsPanel of={{ kind: "pipeline", id: "p1" }} stream={undefined} onSelectStream={onSelectStream} />
    </QueryClientProvider>,
  );
  return onSelectStream;
}

function answer(page: Partial<StoredRows>) {
  server.use(http.get(PATH, ({ response }) => response(200).json({ ...PAGE, ...page })));
}

it("shows the columns with their types, exact numbers, and a missing value as such", async () => {
  show();
  const grid = await screen.findByRole("grid", { name: "Records of flights" });
  expect(within(grid).getByRole("columnheader", { name: /id.*bigint/i })).toBeTruthy();
  const first = within(grid).getAllByRole("row")[1]!;
  expect(
    within(first)
      .getAllByRole("gridcell")
      .map(({ textContent }) => textContent),
  ).toEqual(["9007199254740993", "null"]);
  expect(screen.getByRole("heading", { name: /1,000.records/ })).toBeTruthy();
});

it("renders only the visible records, and loads the next ones as the same look", async () => {
  const user = userEvent.setup();
  show();
  const grid = await screen.findByRole("grid");
  expect(within(grid).getAllByRole("row").length).toBeLessThan(60);
  await user.tab();
  while (document.activeElement !== grid) await user.tab();
  await user.keyboard(
    "{ArrowDown}{PageDown}{PageDown}{PageDown}{PageDown}{PageDown}{PageDown}{ArrowDown}{ArrowRight}",
  );
  expect(grid.getAttribute("aria-activedescendant")).toBe("cell-91-1");
  expect(grid.getAttribute("aria-rowcount")).toBe("101");
  expect(asked[0]!.get("look")).toBe("");
});

it("copies a value by the keyboard", async () => {
  const user = userEvent.setup();
  show();
  await user.click(await screen.findByText("9007199254740994"));
  await user.keyboard("{Control>}c{/Control}");
  expect(await navigator.clipboard.readText()).toBe("9007199254740994");
});

it("opens a value that is cut, and asks for the rest of it", async () => {
  const user = userEvent.setup();
  server.use(
    http.get(PATH, ({ request, response }) => {
      const column = new URL(request.url).searchParams.get("column");
      if (column === null)
        return response(200).json({ ...PAGE, records: [["1", "beginning"]], cut: [[0, 1]] });
      return response(200).json({
        ...PAGE,
        records: [["beginning and the rest"]],
        columns: [PAGE.columns[1]!],
      });
    }),
  );
  show();
  await user.dblClick(await screen.findByText("beginning"));
  expect(await within(screen.getByRole("dialog")).findByText("beginning and the rest")).toBeTruthy();
});

it("chooses among several streams", async () => {
  answer({ streams: ["flights", "weather"], records: [["1", ""]] });
  const onSelectStream = show();
  await userEvent.selectOptions(await screen.findByRole("combobox", { name: "Stream" }), "weather");
  expect(onSelectStream).toHaveBeenCalledWith("weather");
  expect(screen.getByText("empty text")).toBeTruthy();
});

it("says what comes next before the first run", async () => {
  answer({ run_id: null, streams: [], columns: [] });
  show();
  expect(await screen.findByText("No run has written records yet")).toBeTruthy();
});

it("shows why the destination cannot be read, and reads it again", async () => {
  answer({
    ok: false,
    failure: { failure_class: "destination", message: "The database is away", evidence: [] },
  });
  show();
  expect((await screen.findByRole("alert")).textContent).toContain("The database is away");
  answer({ records: [["1", "here again"]] });
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByText("here again")).toBeTruthy();
});

it("says which destinations can be shown if this one cannot", async () => {
  server.use(
    http.get(PATH, ({ response }) =>
      response(409).json({
        type: "about:blank",
        title: "Conflict",
        status: 409,
        detail: "This destination stores no records.",
        code: "not_readable",
        errors: [],
      } as never),
    ),
  );
  show();
  expect(await screen.findByText("This destination stores no records.")).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
});
