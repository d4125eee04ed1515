// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import { delay, http, HttpResponse } from "msw";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { queryClient } from "@/query-client";
import { router } from "@/router";
import { openPage, startApp } from "@/test-app";
import { startServer } from "@/test-server";
import { PAGES, PERMISSIONS, type Page } from "./pages";

const REQUEST_ID = "4f2a90c1";
const API = "*/api/v1/*";
const server = startServer();
const errors: string[] = [];

beforeEach(() => {
  queryClient.setDefaultOptions({ queries: { retry: false } });
  errors.length = 0;
  vi.spyOn(console, "error").mockImplementation((...args) => void errors.push(String(args[0]).slice(0, 300)));
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

/** Opens the page while every request of the API gets this answer. */
async function openWith(path: string, answer: () => Response | Promise<Response>, refreshStatus = 503) {
  server.use(
    http.post("*/api/v1/auth/refresh", () => new HttpResponse(null, { status: refreshStatus })),
    http.all(API, answer),
  );
  startApp(PERMISSIONS);
  await openPage(path);
}

const refuse = (status: number) => () =>
  new HttpResponse(null, { status, headers: { "X-Request-ID": REQUEST_ID } });

/** What stays on every page whatever happens. */
async function expectShell() {
  // The source builder has one more for narrow windows, in which it shows one of its sides.
  expect((await screen.findAllByRole("heading", { level: 1 })).length).toBeGreaterThan(0);
  expect(screen.getByRole("navigation", { name: "Main" })).toBeTruthy();
  expect(document.title).not.toBe("Drover");
  expect(errors.join("\n")).toBe("");
}

const alerts = () => screen.findAllByRole("alert");
const paths = PAGES.map((page): [string, Page] => [page.path, page]);

/** Routes that are not among the pages of these tests. */
const OTHER_ROUTES = [
  // for users who are not logged in
  "/login",
  "/signup",
  "/forgot-password",
  "/reset-password",
  "/verify-email",
  "/invitation",
  // they load nothing, or lead to another page
  "/welcome",
  "/no-access",
  "/settings",
  "/$",
  // only in development
  "/dev/components",
];

it("each route of the router is among the pages of these tests", () => {
  const tested = PAGES.map(({ path }) => {
    const [matched] = router.getMatchedRoutes(path.split("?")[0]!);
    return withoutSlash(matched.at(-1)!.fullPath);
  });
  const routes = new Set(Object.keys(router.routesByPath).map(withoutSlash));
  expect([...new Set(tested), ...OTHER_ROUTES].sort()).toEqual([...routes].sort());
});

/** A tab that is shown first has the path of its page and a slash. */
function withoutSlash(path: string): string {
  return path === "/" ? path : path.replace(/\/$/, "");
}

describe("if the server fails, the page says so with the id of the request and can be tried again", () => {
  it.each(paths)("%s", async (path) => {
    await openWith(path, refuse(500));
    expect((await alerts())[0]!.textContent).toContain("The server could not process the request.");
    expect(screen.getAllByText(REQUEST_ID).length).toBeGreaterThan(0);
    const isRetried = screen.queryByText("The page tries again by itself.") !== null;
    if (!isRetried) expect(screen.getAllByRole("button", { name: "Try again" }).length).toBeGreaterThan(0);
    await expectShell();
  });
});

describe("without a connection, the page says that the server cannot be reached", () => {
  it.each(paths)("%s", async (path) => {
    // MSW's own network error is also reported as unhandled if the page has dropped the request meanwhile.
    vi.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError("Failed to fetch"));
    await openWith(path, () => new HttpResponse());
    expect((await alerts())[0]!.textContent).toContain("The server cannot be reached.");
    await expectShell();
  });
});

describe("without the permission, the page says who can give it", () => {
  it.each(paths)("%s", async (path) => {
    await openWith(path, refuse(403));
    expect((await alerts())[0]!.textContent).toContain("Ask an admin of your organization");
    await expectShell();
  });
});

describe("while the network is slow, the page has its navigation, its heading and placeholders", () => {
  it.each(paths.filter(([, { isStatic }]) => !isStatic))("%s", async (path) => {
    await openWith(path, async () => {
      await delay("infinite");
      return new HttpResponse();
    });
    await expectShell();
    await waitFor(() => expect(document.querySelector(".skeleton")).toBeTruthy());
    expect(screen.queryByRole("alert")).toBeNull();
  });
});

describe("after the session has ended, the page stays and asks to log in again", () => {
  it.each(paths)("%s", async (path) => {
    await openWith(path, refuse(401), 401);
    const dialog = await screen.findByRole("dialog", { name: "Log in again" });
    expect(within(dialog).getByLabelText("Password")).toBeTruthy();
    await expectShell();
  });
});

describe("if the item was deleted, the page says so and leads to the list", () => {
  it.each(paths.filter(([, { item }]) => item))("%s", async (path, { item, list }) => {
    await openWith(path, refuse(404));
    expect(await screen.findByRole("heading", { name: `This ${item} does not exist` })).toBeTruthy();
    expect(screen.getByRole("link", { name: /^Go to / }).getAttribute("href")).toBe(list);
    await expectShell();
  });
});
