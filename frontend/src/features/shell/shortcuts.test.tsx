// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { RunRow } from "@/api/types";
import { currentPath, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, refusal, startServer } from "@/test-server";

const run = (number: number) =>
  part<RunRow>({
    id: `00000000-0000-4000-8000-00000000000${number}`,
    pipeline: { id: "p", name: `Pipeline ${number}` },
    status: "succeeded",
    trigger: "schedule",
    triggered_by: null,
    triggered_by_name: null,
    created_at: "2026-11-29T10:00:00Z",
    started_at: null,
    progress: { written: 1 },
    failure: null,
  });

startServer(
  http.get("/api/v1/runs", ({ response }) =>
    response(200).json({ results: [run(1), run(2)], next: null, previous: null, count: 2 }),
  ),
  http.get("/api/v1/runs/{id}", ({ response }) => response.untyped(refusal(404))),
  EMPTY_LISTS,
);
beforeEach(() => startApp(["read"]));
afterEach(cleanup);

it("j and k move through the rows of a table, Enter opens one, and they are letters in a field", async () => {
  await openPage("/runs");
  await screen.findByText("Pipeline 1");
  const links = screen.getAllByRole("link", { name: /open the run/ });
  await userEvent.keyboard("jj");
  expect(document.activeElement).toBe(links[1]);
  await userEvent.keyboard("j");
  expect(document.activeElement).toBe(links[1]);
  await userEvent.keyboard("k");
  expect(document.activeElement).toBe(links[0]);
  await userEvent.keyboard("/");
  expect(document.activeElement).toBe(screen.getByLabelText("Search runs"));
  await userEvent.keyboard("jk");
  expect(screen.getByLabelText<HTMLInputElement>("Search runs").value).toBe("jk");
  links[1]!.focus();
  await userEvent.keyboard("{Enter}");
  await waitFor(() => expect(currentPath()).toBe(`/runs/${run(2).id}`));
});

it("keys that lead to a page which the user may not open are neither listed nor followed", async () => {
  await openPage("/runs");
  await screen.findByText("Pipeline 1");
  await userEvent.keyboard("gl");
  expect(currentPath()).toBe("/runs");
  await userEvent.keyboard("?");
  expect(await screen.findByText("Go to Pipelines")).toBeTruthy();
  expect(screen.queryByText("Go to Alerts")).toBeNull();
  await userEvent.click(screen.getByRole("button", { name: "Close" }));
  cleanup();
  startApp(["read", "alerts.edit"]);
  await openPage("/runs");
  await screen.findByText("Pipeline 1");
  await userEvent.keyboard("gl");
  await waitFor(() => expect(currentPath()).toBe("/alerts"));
});
