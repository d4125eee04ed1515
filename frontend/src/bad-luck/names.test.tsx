// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { afterEach, beforeEach, expect, it } from "vitest";
import { queryClient } from "@/query-client";
import { openPage, startApp } from "@/test-app";
import { startServer } from "@/test-server";
import { ITEMS, RUN } from "./items";
import { ID, OTHER_ID, PERMISSIONS } from "./pages";

const NAMES = {
  "200 characters without a space": "x".repeat(200),
  "right to left": "طلبات المتجر (2026) ".repeat(10).trim(),
  emoji: "🛒👩‍👩‍👧‍👦🇩🇪".repeat(20),
};
const TIME = "2026-03-01T06:00:00Z";
const server = startServer();

/** The lists of the API with one row of this name. */
function listsOf(name: string): Record<string, object> {
  const page = (row: object) => ({ results: [row], next: null, previous: null, count: 1 });
  const run = { ...RUN, pipeline: { id: ID, name }, triggered_by: "a@b.c", triggered_by_name: name };
  return {
    "/api/v1/stats/overview": {
      runs: 1, succeeded: 1, failed: 0, cancelled: 0, success_rate: 1, records: 1, running: 0, waiting: 1,
      waiting_reason: null, freshness: { failing: 1, late: 0, fresh: 0, none: 0 }, attention_has_more: false, hours: [],
      attention: [{ kind: "failing", id: ID, name, cause: name, since: TIME, pipeline_id: ID, run_id: ID, failure_class: "source", retrying: false, fixes: [] }],
      queue: [{ ...run, status: "pending", place_in_line: 1 }],
    }, // prettier-ignore
    "/api/v1/stats/timeline": { pipelines: [{ id: ID, name }], runs: [], has_more: false },
    "/api/v1/runs": page(run),
    "/api/v1/connectors": page({ ...ITEMS[`/api/v1/connectors/${ID}`], name, description: name }),
    "/api/v1/custom-sources": page({ ...ITEMS[`/api/v1/custom-sources/${ID}`], name, updated_at: TIME }),
    "/api/v1/files": page({
      id: ID, name, bytes: 1, updated_at: TIME, uploaded_by: name, used_by: [{ id: ID, type: "pipeline", name, by_pattern: false }],
    }), // prettier-ignore
    "/api/v1/agent/conversations": page({ id: ID, title: name, graph: "main", updated_at: TIME }),
    "/api/v1/agent/tool-requests": page({
      id: ID, title: "Create pipelines", key_name: name, created_at: TIME, expires_at: TIME,
    }), // prettier-ignore
    "/api/v1/org/members": page({
      id: ID, user_id: "u2", name, email: "a@b.c", kind: "person", role: "viewer", created_at: TIME,
    }), // prettier-ignore
    "/api/v1/org/domains": page({ id: ID, name }),
    "/api/v1/org/api-keys": page({
      id: ID, name, prefix: "ab", role: "viewer", scopes: [], domain_id: null, last_used_at: null, expires_at: null, created_at: TIME, revoked_at: null, created_by: { email: "a@b.c" },
    }), // prettier-ignore
    "/api/v1/org/service-accounts": page({ id: ID, name, role: "viewer" }),
  };
}

function serve(name: string) {
  const lists = listsOf(name);
  server.use(
    http.all("*/api/v1/*", ({ request }) => {
      const { pathname } = new URL(request.url);
      if (lists[pathname]) return HttpResponse.json(lists[pathname]);
      const item = ITEMS[pathname];
      if (!item) return new HttpResponse(null, { status: 404 });
      const named = { ...item, name, key_name: name, pipeline: { id: ID, name } };
      return HttpResponse.json(
        "run" in item ? { ...item, run: { ...RUN, pipeline: { id: ID, name } } } : named,
      );
    }),
  );
}

beforeEach(() => {
  queryClient.setDefaultOptions({ queries: { retry: false } });
});
afterEach(cleanup);

/** The elements whose only text is the name. */
function elementsWith(name: string): HTMLElement[] {
  const main = screen.getByRole("main");
  return within(main)
    .queryAllByText((_text, element) => element?.childElementCount === 0 && element.textContent === name)
    .filter(({ tagName }) => tagName !== "OPTION" && tagName !== "TEXTAREA");
}

const PLACES = [
  "/",
  "/runs",
  "/connectors",
  "/sources",
  "/files",
  "/agent",
  "/approvals",
  "/settings/members",
  "/settings/domains",
  "/settings/api-keys",
  `/pipelines/${ID}`,
  `/runs/${ID}`,
  `/runs/${ID}/compare/${OTHER_ID}`,
  `/connectors/${ID}`,
  `/sources/${ID}`,
  `/approvals/${ID}`,
];
const cases = PLACES.flatMap((path) =>
  Object.entries(NAMES).map(([kind, name]): [string, string, string] => [path, kind, name]),
);

it.each(cases)(
  "on %s a name with %s keeps its direction, and is readable if it is cut",
  async (path, _kind, name) => {
    serve(name);
    startApp(PERMISSIONS);
    await openPage(path);
    await waitFor(() => expect(elementsWith(name).length).toBeGreaterThan(0));
    for (const element of elementsWith(name)) {
      expect(element.closest("bdi, [dir=auto]"), element.outerHTML.slice(-200)).toBeTruthy();
      const isCut = element.closest(".truncate") !== null;
      const isBroken = element.closest(".wrap-anywhere, .line-clamp-2") !== null;
      expect(isCut || isBroken, element.outerHTML.slice(0, 200)).toBe(true);
      if (isCut) expect(element.closest("[title]")?.getAttribute("title")).toContain(name);
    }
  },
);
