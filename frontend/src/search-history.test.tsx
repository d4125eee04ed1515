// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it } from "vitest";
import type { Overview } from "./api/types";
import { currentPath, currentSearch, goBack, goTo, openPage, startApp } from "./test-app";
import { EMPTY_LISTS, http, part, startServer } from "./test-server";

const overview = part<Overview>({
  freshness: { failing: 0, late: 0, fresh: 1, none: 0 },
  attention: [],
  queue: [],
  hours: [],
});
startServer(
  http.get("/api/v1/stats/overview", ({ response }) => response(200).json(overview)),
  http.get("/api/v1/stats/timeline", ({ response }) =>
    response(200).json({ pipelines: [], runs: [], has_more: false }),
  ),
  http.get("/api/v1/files/limits", ({ response }) =>
    response(200).json({ max_file_bytes: 1, max_bytes: 1, used_bytes: 0 }),
  ),
  EMPTY_LISTS,
);
afterEach(cleanup);

const LISTS = [
  ["/", "Search pipelines in the timeline"],
  ["/connectors", "Search connectors"],
  ["/files", "Search files"],
  ["/sources", "Search custom sources"],
  ["/settings/members", "Search members"],
  ["/settings/api-keys", "Search API keys"],
  ["/settings/audit", "Search events"],
];

it.each(LISTS)("on %s one Back undoes a search, however many letters it has", async (path, label) => {
  startApp(["read", "connectors.edit", "members.manage", "api_keys.own", "audit.view"]);
  await openPage("/settings/account");
  await goTo(path!);
  await screen.findByLabelText(label!);
  await userEvent.keyboard("/or");
  expect(document.activeElement).toBe(screen.getByLabelText(label!));
  await waitFor(() => expect(currentSearch()).toEqual({ q: "or" }));
  await userEvent.keyboard("der");
  await waitFor(() => expect(currentSearch()).toEqual({ q: "order" }));
  goBack();
  await waitFor(() => expect(currentSearch()).toEqual({}));
  expect(currentPath()).toBe(path);
});
