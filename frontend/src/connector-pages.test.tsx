// @vitest-environment jsdom
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { cleanup, configure, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CatalogueEntry, Connector, ConnectorRow, PipelineRow } from "./api/types";
import { queryClient } from "./query-client";
import { router } from "./router";
import { EMPTY_LISTS, http, logIn, noteRequests, part, refusal, startServer } from "./test-server";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const SHOP = part<Connector>({
  id: ID,
  name: "Shop",
  role: "source",
  kind: "postgres",
  description: "",
  domain: null,
  check_ok: null,
  checked_at: null,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
  pipeline_count: 0,
  config: { host: "db.example.com", password: { set: true, last4: "9f2c" } },
  version: 3,
});
const KIND = part<CatalogueEntry>({
  kind: "postgres",
  name: "PostgreSQL",
  description: "A database.",
  config_schema: {
    type: "object",
    properties: {
      host: { type: "string", title: "Host" },
      password: { type: "string", title: "Password", writeOnly: true },
    },
  },
});

let connectors: ConnectorRow[];
let pipelines: PipelineRow[];

const page = <Row,>(results: Row[]) => ({ results, next: null, previous: null, count: results.length });

const server = startServer(
  http.get("/api/v1/connectors", ({ response }) => response(200).json(page(connectors))),
  http.get("/api/v1/connectors/{id}", ({ response }) => response(200).json(SHOP)),
  http.delete("/api/v1/connectors/{id}", ({ response }) =>
    pipelines.length === 0 ? response(204).empty() : response.untyped(refusal(409, { code: "in_use" })),
  ),
  http.get("/api/v1/catalog/sources/{kind}", ({ response }) => response(200).json(KIND)),
  http.get("/api/v1/catalog/sources", ({ response }) => response(200).json(part(page([KIND])))),
  http.get("/api/v1/pipelines", ({ response }) => response(200).json(page(pipelines))),
  EMPTY_LISTS,
);
const requests = noteRequests(server);

configure({ asyncUtilTimeout: 30_000 }); // a page is loaded when it is opened for the first time
beforeEach(() => {
  connectors = [SHOP];
  pipelines = [];
  queryClient.clear();
  logIn(["connectors.edit"]);
  vi.stubGlobal("scrollTo", () => undefined);
  // jsdom has no modal dialogs.
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

async function open(path: string) {
  render(
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
  await router.navigate({ to: path });
}

async function deleteShop(): Promise<HTMLElement> {
  await userEvent.click(await screen.findByRole("button", { name: "Delete" }));
  const dialog = await screen.findByRole("dialog");
  await userEvent.type(within(dialog).getByLabelText("Type Shop to confirm"), "Shop{Enter}");
  return dialog;
}

describe("the list of connectors", () => {
  it("sends the filter of the URL, and ignores what it does not know", async () => {
    await open("/connectors?role=source&q=sho&colour=red");
    await screen.findByRole("link", { name: "Shop" });
    const search = requests.findLast(({ url }) => url.pathname === "/api/v1/connectors")!.url.searchParams;
    expect(Object.fromEntries(search)).toEqual({ role: "source", q: "sho", limit: "50" });
  });

  it("has a filter that Back undoes", async () => {
    await open("/connectors");
    await userEvent.selectOptions(await screen.findByLabelText("Role"), "Sources");
    await waitFor(() => expect(router.state.location.search).toEqual({ role: "source" }));
    router.history.back();
    await waitFor(() => expect(router.state.location.href).toBe("/connectors"));
  });

  it("says what connectors are for if there are none", async () => {
    connectors = [];
    await open("/connectors");
    await screen.findByRole("heading", { name: "No connectors yet" });
    expect(screen.getAllByRole("link", { name: "New connector" })).toHaveLength(2);
  });
});

describe("a viewer", () => {
  beforeEach(() => logIn(["read"]));

  it("can see a connector without its secrets, and cannot change it", async () => {
    await open(`/connectors/${ID}`);
    await screen.findByText("Set, ends in 9f2c");
    screen.getByText("Your role lets you view this connector, not edit it.");
    const main = within(screen.getByRole("main"));
    const names = main.queryAllByRole("button").map(({ textContent }) => textContent);
    expect(names.filter((name) => !/^Copy (ID|link)$/.test(name))).toEqual([]);
    expect(main.queryAllByRole("textbox")).toEqual([]);
    await main.findByText(/^No pipeline uses it yet/);
    expect(main.queryByRole("link", { name: "new pipeline" })).toBeNull();
  });

  it("is told why no connector can be created", async () => {
    await open("/connectors/new");
    await screen.findByText("Your role lets you view connectors, not create them.");
  });
});

describe("the deletion of a connector", () => {
  it("asks for its name, deletes the version that is shown, and leads to the list", async () => {
    await open(`/connectors/${ID}`);
    await deleteShop();
    await screen.findByRole("heading", { name: /^Connectors/, level: 1 });
    await screen.findByText("Shop was deleted.");
    const deletion = requests.find(({ method }) => method === "DELETE");
    expect(deletion?.headers.get("If-Match")).toBe('"3"');
  });

  it("is refused with the pipelines that have begun to use it meanwhile", async () => {
    await open(`/connectors/${ID}`);
    await screen.findByText("No pipeline uses it yet.", { exact: false });
    pipelines = [part<PipelineRow>({ id: "p1", name: "Orders to the warehouse", last_run: null })];
    const dialog = await deleteShop();
    await waitFor(() => within(dialog).getByRole("link", { name: "Orders to the warehouse" }));
    expect(within(dialog).getAllByRole("button")).toHaveLength(1);
  });
});
