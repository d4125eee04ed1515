// @vitest-environment jsdom
import { act, cleanup, screen, within } from "@testing-library/react";
import { delay, http, HttpResponse } from "msw";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { queryClient } from "@/query-client";
import { openPage, startApp } from "@/test-app";
import { startServer } from "@/test-server";
import { ITEMS } from "./items";
import { PAGES, PERMISSIONS, type Page } from "./pages";

const REQUEST_ID = "4f2a90c1";
const server = startServer();
const errors: string[] = [];

beforeEach(() => {
  queryClient.setDefaultOptions({ queries: { retry: false } });
  errors.length = 0;
  vi.spyOn(console, "error").mockImplementation((...args) => void errors.push(String(args[0]).slice(0, 300)));
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** Answers with the items, and otherwise with `answer`. */
function serveItems(answer: () => Response | Promise<Response>) {
  server.use(
    http.post("*/api/v1/auth/refresh", () => new HttpResponse(null, { status: 503 })),
    http.all("*/api/v1/*", ({ request }) => {
      const item = request.method === "GET" && ITEMS[new URL(request.url).pathname];
      return item ? HttpResponse.json(item, { headers: { ETag: '"1"' } }) : answer();
    }),
  );
}

async function open(path: string) {
  startApp(PERMISSIONS);
  await openPage(path);
}

/** The heading of the page when it shows its item. */
const findTitle = () =>
  screen.findByRole("heading", {
    level: 1,
    name: /Flights|Shop|Weather|^Run .*Failed|Compare runs|Create pipelines/,
  });

const fail = (status: number) => () =>
  new HttpResponse(null, { status, headers: { "X-Request-ID": REQUEST_ID } });
const wait = async () => {
  await delay("infinite");
  return new HttpResponse();
};

const paths = PAGES.filter(({ item }) => item && item !== "conversation").map((page): [string, Page] => [
  page.path,
  page,
]);
/** These pages load nothing but their item. */
const COMPLETE = /\/(schedule|compare\/.*)$|^\/approvals\//;

describe("if only the parts of a page cannot be loaded, each says why, and the rest can be used", () => {
  it.each(paths)("%s", async (path) => {
    serveItems(fail(500));
    await open(path);
    await findTitle();
    if (!COMPLETE.test(path)) {
      expect((await screen.findAllByRole("alert"))[0]!.textContent).toContain(
        "could not process the request",
      );
      expect(screen.getAllByText(REQUEST_ID).length).toBeGreaterThan(0);
      expect(screen.getAllByRole("button", { name: "Try again" }).length).toBeGreaterThan(0);
    }
    expect(errors.join("\n")).toBe("");
  });
});

describe("while the parts of a page are loaded slowly, they have placeholders", () => {
  // The validation of a custom source appears beside the editor, which can be used before.
  const loading = paths.filter(([path]) => !COMPLETE.test(path) && !path.startsWith("/sources/"));
  it.each(loading)("%s", async (path) => {
    serveItems(wait);
    await open(path);
    await findTitle();
    await vi.waitFor(() =>
      expect(document.querySelector(".skeleton") ?? screen.queryByText("Loading…")).toBeTruthy(),
    );
    expect(screen.queryByRole("alert")).toBeNull();
    expect(errors.join("\n")).toBe("");
  });
});

describe("if the item is deleted while its page is open, the page says so and leads to the list", () => {
  it.each(paths)("%s", async (path, { item, list }) => {
    serveItems(fail(500));
    await open(path);
    await findTitle();
    server.resetHandlers();
    server.use(http.all("*/api/v1/*", fail(404)));
    void queryClient.invalidateQueries();
    expect(await screen.findByRole("heading", { name: `This ${item} was deleted` })).toBeTruthy();
    expect(screen.getByRole("link", { name: /^Go to / }).getAttribute("href")).toBe(list);
    expect(errors.join("\n")).toBe("");
  });
});

/** Other pages learn it when the user comes back to the tab of the browser. */
describe("a page that people watch learns by itself that its item was deleted", () => {
  it.each(paths.filter(([path]) => /^\/(runs|pipelines)\/[^/]+$/.test(path)))(
    "%s",
    async (path, { item }) => {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
      serveItems(fail(500));
      await open(path);
      await findTitle();
      server.resetHandlers();
      const requests: string[] = [];
      server.use(
        http.all("*/api/v1/*", ({ request }) => {
          requests.push(new URL(request.url).pathname);
          return new HttpResponse(null, { status: 404 });
        }),
      );
      await act(() => vi.advanceTimersByTime(15_000));
      await screen.findByRole("heading", { name: `This ${item} was deleted` });
      expect(screen.getByRole("alert").textContent).toContain(`This ${item} was deleted`);
      expect(within(screen.getByRole("main")).queryAllByRole("button")).toEqual([]);
      requests.length = 0;
      await act(() => vi.advanceTimersByTime(60_000));
      expect(requests.filter((address) => address.startsWith("/api/v1/" + item))).toEqual([]);
    },
  );
});

describe("if the server fails while the page is open, the page keeps what it shows", () => {
  it.each(paths)("%s", async (path) => {
    serveItems(fail(500));
    await open(path);
    const title = (await findTitle()).textContent;
    server.resetHandlers();
    server.use(http.all("*/api/v1/*", fail(502)));
    await queryClient.invalidateQueries();
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe(title);
    expect(errors.join("\n")).toBe("");
  });
});
