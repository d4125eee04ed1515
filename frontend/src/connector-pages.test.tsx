// @vitest-environment jsdom
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { cleanup, configure, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startSession } from "./api/session";
import type { Session } from "./api/types";
import { queryClient } from "./query-client";
import { router } from "./router";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const SHOP = {
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
};
const KIND = {
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
};

let connectors: object[];
let pipelines: object[];
let requests: Request[];

async function respond(input: Request | string | URL): Promise<Response> {
  const request = input instanceof Request ? input : new Request(new URL(input, location.href));
  requests.push(request);
  const { pathname } = new URL(request.url);
  const page = (results: object[]) => Response.json({ results, next: null, count: results.length });
  if (request.method === "DELETE") {
    if (pipelines.length === 0) return new Response(null, { status: 204 });
    return Response.json({ title: "In use", detail: "In use", code: "in_use", pipelines }, { status: 409 });
  }
  if (pathname === `/api/v1/connectors/${ID}`) return Response.json(SHOP);
  if (pathname.startsWith("/api/v1/catalog/sources/")) return Response.json(KIND);
  if (pathname.startsWith("/api/v1/catalog/")) return page([KIND]);
  if (pathname === "/api/v1/pipelines") return page(pipelines);
  return page(pathname === "/api/v1/connectors" ? connectors : []);
}

function logIn(permissions: string[]) {
  const organization = { id: "o1", name: "Acme", role: "member", closed: null, permissions, domains: [] };
  const user = { id: "u1", name: "Ada", email: "ada@example.com" };
  startSession({ access: "token", expires_in: 600, user, organization } as unknown as Session);
}

configure({ asyncUtilTimeout: 30_000 }); // a page is loaded when it is opened for the first time
beforeEach(() => {
  connectors = [SHOP];
  pipelines = [];
  requests = [];
  queryClient.clear();
  logIn(["connectors.edit"]);
  vi.stubGlobal("fetch", respond);
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
    const search = new URL(requests.findLast(({ url }) => url.includes("/connectors?"))!.url).searchParams;
    expect(Object.fromEntries(search)).toEqual({ role: "source", q: "sho", limit: "50" });
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
    expect(main.queryAllByRole("button")).toEqual([]);
    expect(main.queryAllByRole("textbox")).toEqual([]);
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
    pipelines = [{ id: "p1", name: "Orders to the warehouse", last_run: null }];
    const dialog = await deleteShop();
    await waitFor(() => within(dialog).getByRole("link", { name: "Orders to the warehouse" }));
    expect(within(dialog).getAllByRole("button")).toHaveLength(1);
  });
});
