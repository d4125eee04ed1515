// @vitest-environment jsdom
/** The lists that have only a search: it is in the address, the key / moves the focus to it, and it can be cleared. */
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { currentSearch, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, part, startServer } from "@/test-server";

const TIME = "2026-03-01T06:00:00Z";
const [ID, OTHER_ID] = ["0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11", "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12"];
const page = <Row,>(rows: Row[]) => ({ results: rows, next: null, previous: null, count: rows.length });
/** Two rows with these names, of which the server has found those with the text. */
const found = (query: { get: (name: "q") => string | null }, rows: { name: string; id: string }[]) =>
  rows.filter(({ name }) => name.toLowerCase().includes((query.get("q") ?? "").toLowerCase()));
const ROWS = [
  { id: ID, name: "Orders" },
  { id: OTHER_ID, name: "Cities" },
];

const server = startServer(
  http.get("/api/v1/connectors", ({ query, response }) =>
    response(200).json(
      part(page(found(query, ROWS).map((row) => ({ ...row, role: "source" as const, kind: "postgres", updated_at: TIME })))),
    ),
  ),
  http.get("/api/v1/files", ({ query, response }) =>
    response(200).json(
      part(page(found(query, ROWS).map((row) => ({ ...row, bytes: 1, used_by: [], updated_at: TIME })))),
    ),
  ),
  http.get("/api/v1/custom-sources", ({ query, response }) =>
    response(200).json(part(page(found(query, ROWS).map((row) => ({ ...row, updated_at: TIME }))))),
  ),
  http.get("/api/v1/org/domains", ({ response }) => response(200).json(part(page(ROWS)))),
  http.get("/api/v1/org/service-accounts", ({ response }) =>
    response(200).json(part(page(ROWS.map((row) => ({ ...row, role: "viewer" as const }))))),
  ),
  http.get("/api/v1/org/invitations", ({ response }) =>
    response(200).json(
      part(page(ROWS.map(({ id, name }) => ({ id, email: name, role: "viewer" as const, sent_at: TIME, expires_at: TIME })))),
    ),
  ),
  http.get("/api/v1/repositories", ({ response }) =>
    response(200).json(
      part(page(ROWS.map(({ id, name }) => ({ id, url: name, branch: "main", path: "", status: "succeeded" as const, outcomes: [] })))),
    ),
  ),
  http.get("/api/v1/agent/tool-requests", ({ query, response }) =>
    response(200).json(
      part(page(found(query, ROWS).map(({ id, name }) => ({ id, title: name, key_name: "Bot", created_at: TIME, expires_at: TIME })))),
    ),
  ),
  http.get("/api/v1/agent/conversations", ({ query, response }) =>
    response(200).json(
      part(page(found(query, ROWS).map(({ id, name }) => ({ id, title: name, graph: "main" as const, updated_at: TIME })))),
    ),
  ),
  EMPTY_LISTS,
); // prettier-ignore
const requests = noteRequests(server);

beforeEach(() => {
  startApp([
    "read",
    "members.manage",
    "invitations.manage",
    "domains.manage",
    "api_keys.own",
    "api_keys.manage",
    "custom_sources.edit",
    "agent.use",
  ]);
});
afterEach(cleanup);

const LISTS: [items: string, path: string, parameter: string][] = [
  ["connectors", "/connectors", "q"],
  ["files", "/files", "q"],
  ["custom sources", "/sources", "q"],
  ["domains", "/settings/domains", "q"],
  ["invitations", "/settings/members", "invited"],
  ["service accounts", "/settings/api-keys", "account"],
  ["repositories", "/sources/repositories", "q"],
  ["requests", "/approvals", "q"],
  ["conversations", "/agent", "q"],
];

describe.each(LISTS)("the list of %s", (items, path, parameter) => {
  it("is searched by its address, and the search can be cleared", async () => {
    await openPage(`${path}?${parameter}=order`);
    const bar = await screen.findByRole("search", { name: `Filter ${items}` });
    await screen.findAllByText("Orders");
    await waitFor(() => expect(screen.queryByText("Cities")).toBeNull());
    await userEvent.click(within(bar).getByRole("button", { name: "Clear filters" }));
    await screen.findAllByText("Cities");
    expect(currentSearch()).toEqual({});
  });

  it("has its text in the address, and says if nothing matches", async () => {
    await openPage(path);
    await screen.findAllByText("Cities");
    await userEvent.type(screen.getByLabelText(`Search ${items}`), "zebra");
    await waitFor(() => expect(currentSearch()).toEqual({ [parameter]: "zebra" }));
    await screen.findAllByText(/ match$/);
    expect(screen.queryByText("Cities")).toBeNull();
    const buttons = screen.getAllByRole("button", { name: "Clear filters" });
    expect(buttons.length).toBeGreaterThan(1); // in the bar, and where the user looks for the rows
    await userEvent.click(buttons.at(-1)!);
    await screen.findAllByText("Cities");
    expect(currentSearch()).toEqual({});
  });
});

it.each(["/settings/domains", "/sources/repositories", "/approvals", "/agent"])(
  "on %s the key / moves the focus to the search",
  async (path) => {
    await openPage(path);
    await screen.findAllByText("Cities");
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    await userEvent.keyboard("/");
    expect((document.activeElement as HTMLInputElement).type).toBe("search");
  },
);

it("the lists that have pages are searched by the server", async () => {
  for (const path of ["/approvals", "/agent"]) await openPage(`${path}?q=order`);
  for (const path of ["/api/v1/agent/tool-requests", "/api/v1/agent/conversations"])
    await waitFor(() =>
      expect(requests.some(({ url }) => url.pathname === path && url.searchParams.get("q") === "order")).toBe(
        true,
      ),
    );
});
