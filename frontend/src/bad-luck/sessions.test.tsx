// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http, HttpResponse } from "msw";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Permission } from "@/api/types";
import { queryClient } from "@/query-client";
import { router } from "@/router";
import { openPage, startApp } from "@/test-app";
import { startServer } from "@/test-server";
import { ITEMS } from "./items";
import { ID, PERMISSIONS } from "./pages";

const EMPTY = {
  results: [],
  groups: [],
  domains: [],
  mode: "guided",
  runs: [],
  providers: [],
  links: [],
  next: null,
  previous: null,
  count: 0,
};
const server = startServer();

/** The server of these tests: who is logged in, and what was changed. */
let state: {
  isExpired: boolean;
  permissions: Permission[];
  changes: { token: string | null; body: unknown }[];
};

const session = () => ({
  access: "new token",
  expires_in: 600,
  user: { id: "u1", name: "Ada", email: "ada@example.com", has_password: true },
  organization: {
    id: "o1", name: "Acme", role: "viewer", closed: null, permissions: state.permissions, domains: [],
  }, // prettier-ignore
  organizations: [],
});

beforeEach(() => {
  queryClient.setDefaultOptions({ queries: { retry: false } });
  state = { isExpired: false, permissions: PERMISSIONS, changes: [] };
  server.use(
    http.post("*/api/v1/auth/refresh", () =>
      state.isExpired ? new HttpResponse(null, { status: 401 }) : HttpResponse.json(session()),
    ),
    http.post("*/api/v1/auth/login", async ({ request }) => {
      const { password, email, org } = (await request.json()) as Record<string, string>;
      expect([email, org]).toEqual(["ada@example.com", "o1"]);
      if (password !== "correct")
        return HttpResponse.json({ title: "Wrong", code: "wrong_login" }, { status: 401 });
      state.isExpired = false;
      return HttpResponse.json(session());
    }),
    http.get("*/api/v1/org/model", () =>
      state.isExpired ? undefined : new HttpResponse(null, { status: 204 }),
    ),
    http.get("*/api/v1/org/identity-provider", () =>
      state.isExpired ? undefined : new HttpResponse(null, { status: 204 }),
    ),
    http.get("*/events", () => new HttpResponse(null, { status: 404 })),
    http.all("*/api/v1/*", async ({ request }) => {
      if (state.isExpired) return new HttpResponse(null, { status: 401 });
      const item = ITEMS[new URL(request.url).pathname];
      if (request.method === "PATCH") {
        if (!state.permissions.includes("pipelines.edit")) return new HttpResponse(null, { status: 403 });
        state.changes.push({ token: request.headers.get("Authorization"), body: await request.json() });
      }
      return HttpResponse.json(item ?? EMPTY, { headers: { ETag: '"1"' } });
    }),
  );
});
afterEach(cleanup);

async function open(path: string) {
  startApp(PERMISSIONS);
  await openPage(path);
}

/** Types into the first field of the page. */
async function typeIntoPage(): Promise<HTMLInputElement> {
  const main = within(screen.getByRole("main"));
  const field = (await main.findAllByRole<HTMLInputElement>("textbox"))[0]!;
  await userEvent.type(field, " typed by Ada");
  return field;
}

/** The session ends, and the page notices it with its next request. */
async function expire(): Promise<HTMLElement> {
  state.isExpired = true;
  void queryClient.invalidateQueries();
  return screen.findByRole("dialog", { name: "Log in again" });
}

async function logIn(dialog: HTMLElement, password: string) {
  await userEvent.type(within(dialog).getByLabelText("Password"), `${password}{Enter}`);
}

describe("what was typed is still there after the session has ended and the user has logged in again", () => {
  it.each([
    `/pipelines/${ID}/configuration`,
    `/connectors/${ID}`,
    `/approvals/${ID}`,
    "/agent",
    "/settings/account",
    "/settings/organization",
    "/settings/members",
    "/settings/domains",
    "/settings/api-keys",
    "/settings/model",
    "/settings/sso",
  ])("%s", async (path) => {
    await open(path);
    const field = await typeIntoPage();
    await logIn(await expire(), "correct");
    await waitFor(() => expect(screen.queryByRole("dialog", { name: "Log in again" })).toBeNull());
    expect(field.isConnected).toBe(true);
    expect(field.value).toContain("typed by Ada");
    expect(router.state.location.href).toBe(path);
  });
});

it("what was typed into the form of a new connector is still there, too", async () => {
  await open("/connectors/new");
  await userEvent.click(await screen.findByRole("button", { name: /PostgreSQL/ }));
  const field = await typeIntoPage();
  await logIn(await expire(), "correct");
  await waitFor(() => expect(screen.queryByRole("dialog", { name: "Log in again" })).toBeNull());
  expect(field.isConnected).toBe(true);
  expect(field.value).toContain("typed by Ada");
});

describe("the dialog to log in again", () => {
  it("says that the password is wrong, and lets the user try again and then save", async () => {
    await open(`/pipelines/${ID}/configuration`);
    await typeIntoPage();
    const dialog = await expire();
    await logIn(dialog, "wrong");
    expect((await within(dialog).findByRole("alert")).textContent).toContain("incorrect");
    await userEvent.clear(within(dialog).getByLabelText("Password"));
    await logIn(dialog, "correct");
    await waitFor(() => expect(screen.queryByRole("dialog", { name: "Log in again" })).toBeNull());
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(state.changes).toHaveLength(1));
    expect(state.changes[0]).toMatchObject({
      token: "Bearer new token",
      body: { name: "Flights typed by Ada" },
    });
  });

  it("closes by itself if the user has logged in in another tab", async () => {
    await open(`/pipelines/${ID}/configuration`);
    const field = await typeIntoPage();
    await expire();
    state.isExpired = false;
    globalThis.dispatchEvent(new Event("focus"));
    await waitFor(() => expect(screen.queryByRole("dialog", { name: "Log in again" })).toBeNull());
    expect(field.value).toContain("typed by Ada");
  });

  it("leads to the log-in page if the user logs out", async () => {
    await open("/settings/domains");
    const dialog = await expire();
    await userEvent.click(within(dialog).getByRole("button", { name: "log out" }));
    expect(await screen.findByRole("heading", { name: "Log in" })).toBeTruthy();
    expect(screen.queryByRole("navigation", { name: "Main" })).toBeNull();
  });
});

it("if the role is lowered while the page is open, a save says so and the page becomes read-only", async () => {
  await open(`/pipelines/${ID}/configuration`);
  await typeIntoPage();
  state.permissions = ["read"];
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  expect((await screen.findByText(/Your permissions in Acme were changed/)).textContent).toContain(
    "a viewer",
  );
  await waitFor(() => expect(screen.queryByRole("button", { name: "Save" })).toBeNull());
  expect(state.changes).toEqual([]);
});
