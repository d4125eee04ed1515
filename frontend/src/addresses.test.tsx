// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openPage, startApp } from "./test-app";
import { EMPTY_LISTS, http, noteRequests, startServer } from "./test-server";

const server = startServer(
  http.get("/api/v1/stats/timeline", ({ response }) =>
    response(200).json({ pipelines: [], runs: [], has_more: false }),
  ),
  EMPTY_LISTS,
);
const requests = noteRequests(server);

const requestTo = (path: string) => requests.find(({ url }) => url.pathname === path)?.url;

beforeEach(() => startApp(["read", "pipelines.edit", "custom_sources.edit"]));
afterEach(cleanup);

describe("a list whose address has unknown or wrong parameters", () => {
  it.each([
    ["/pipelines", "/api/v1/pipelines", "limit=1000"],
    ["/runs", "/api/v1/runs", "limit=50"],
    ["/sources", "/api/v1/custom-sources", "limit=50"],
    ["/files", "/api/v1/files", "limit=50"],
  ])("%s is shown without them", async (path, api, query) => {
    await openPage(`${path}?status=unheard-of&utm_source=mail&cursor=1&archived=perhaps`);
    await screen.findByRole("heading", { level: 1 });
    await waitFor(() => expect(requestTo(api)).toBeDefined());
    expect(requestTo(api)!.search).toBe(`?${query}`);
  });

  it("a search text is cut at the length that the API accepts", async () => {
    await openPage(`/pipelines?q=${"x".repeat(300)}`);
    await waitFor(() => expect(requestTo("/api/v1/pipelines")).toBeDefined());
    expect(requestTo("/api/v1/pipelines")!.searchParams.get("q")).toHaveLength(120);
  });
});

describe("an address without a page", () => {
  it.each(["/nowhere", "/settings/nowhere", "/pipelines/a/b/c"])("%s keeps the navigation", async (path) => {
    await openPage(path);
    expect(await screen.findByText("Page not found")).toBeTruthy();
    expect(screen.getByRole("navigation", { name: "Main" })).toBeTruthy();
  });
});

describe("a viewer who follows a link to a page for editors", () => {
  it.each([
    ["/pipelines/new", /permission to create pipelines/],
    ["/sources/new", /permission to edit custom sources/],
    ["/sources/builder", /permission to edit custom sources/],
    ["/agent", /permission to use the agent/],
    ["/approvals", /permission/],
  ])("%s shows a sentence instead of a form", async (path, sentence) => {
    startApp(["read"]);
    await openPage(path);
    expect(await screen.findByText(sentence)).toBeTruthy();
  });
});
