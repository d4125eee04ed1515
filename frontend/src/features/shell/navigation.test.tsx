// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";

startServer(
  http.get("/api/v1/dependencies", ({ response }) => response(200).json(part({ pipelines: [], edges: [] }))),
  http.get("/api/v1/queue", ({ response }) =>
    response(200).json(
      part({ running_runs: [], waiting_runs: [], running: 0, waiting: 0, has_worker: true }),
    ),
  ),
  EMPTY_LISTS,
);
afterEach(cleanup);

it.each([
  ["/runs", "Runs"],
  ["/queue", "Runs"],
  ["/dependencies", "Pipelines"],
  ["/approvals", "Agent"],
  ["/alerts/channels", "Alerts"],
])("the page %s belongs to the entry %s of the navigation", async (address, name) => {
  startApp(["read", "alerts.edit", "agent.use"]);
  await openPage(address);
  const navigation = within(screen.getByRole("navigation", { name: "Main" }));
  const marked = navigation.getAllByRole("link").filter((link) => link.hasAttribute("aria-current"));
  expect(marked.map(({ textContent }) => textContent)).toEqual([name]);
});
