// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Dependencies, Pipeline } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { NO_STATISTICS, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, refusal, startServer } from "@/test-server";

const REASON = "Waits for Orders, which failed at 2026-11-22 05:00 UTC.";
const ORDERS = { id: "0b6a7f0e-0000-4000-8000-000000000002", name: "Orders" };
const CUSTOMERS = { id: "0b6a7f0e-0000-4000-8000-000000000003", name: "Customers" };
const NONE: Dependencies = {
  mode: "all",
  window_seconds: null,
  state: "none",
  reason: "",
  upstreams: [],
  downstreams: [],
  hidden: 0,
};
const BLOCKED: Dependencies = {
  ...NONE,
  state: "blocked",
  reason: REASON,
  upstreams: [
    { pipeline: ORDERS, state: "failed", last_success_at: null, failing_since: "2026-11-22T05:00:00Z" },
  ],
  downstreams: [CUSTOMERS],
  hidden: 1,
};
const CYCLE = "Flights would run after itself: Flights → Orders → Flights.";

let dependencies: Dependencies;
let sent: unknown[];
let refused: boolean;

startServer(
  http.get("/api/v1/pipelines/{id}", ({ response }) =>
    response(200).json(PIPELINE, { headers: { ETag: '"1"' } }),
  ),
  http.get("/api/v1/pipelines", ({ response }) =>
    response(200).json({
      results: [PIPELINE, ORDERS, CUSTOMERS].map((one) => part<Pipeline>(one)),
      next: null,
      previous: null,
      count: 3,
    }),
  ),
  http.get("/api/v1/pipelines/{id}/dependencies", ({ response }) =>
    response(200).json(dependencies, { headers: { ETag: '"1"' } }),
  ),
  http.put("/api/v1/pipelines/{id}/dependencies", async ({ request, response }) => {
    sent.push({ etag: request.headers.get("If-Match"), body: await request.json() });
    if (refused)
      return response.untyped(
        refusal(422, { errors: [{ field: "upstream_ids", message: CYCLE, code: "cycle" }] }),
      );
    dependencies = BLOCKED;
    return response(200).json(dependencies, { headers: { ETag: '"2"' } });
  }),
  NO_STATISTICS,
  EMPTY_LISTS,
);

beforeEach(() => {
  dependencies = NONE;
  sent = [];
  refused = false;
});
afterEach(cleanup);

async function openCard() {
  await openPage(`/pipelines/${PIPELINE.id}/schedule`);
  return within(await screen.findByRole("region", { name: "Run after" }));
}

async function addPipeline(card: ReturnType<typeof within>, name: string) {
  await userEvent.selectOptions(card.getByRole("combobox", { name: "Add a pipeline" }), name);
  await userEvent.click(card.getByRole("button", { name: "Add" }));
}

describe("the card of dependencies", () => {
  it("a member chooses pipelines, and sees why the pipeline waits", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    expect(await card.findByText("It does not wait for other pipelines.")).toBeTruthy();
    await userEvent.click(card.getByRole("button", { name: "Choose pipelines" }));
    await card.findByRole("option", { name: "Orders" });
    expect(card.queryByRole("option", { name: "Flights" })).toBeNull();
    await addPipeline(card, "Orders");
    await addPipeline(card, "Customers");
    await userEvent.click(card.getByRole("button", { name: "Remove Customers" }));
    await userEvent.type(card.getByRole("textbox", { name: "Within hours optional" }), "24");
    await userEvent.click(card.getByRole("button", { name: "Save" }));
    expect(await card.findByText(/^Waits for Orders/)).toBeTruthy();
    expect(sent).toEqual([
      { etag: '"1"', body: { mode: "all", window_seconds: 86400, upstream_ids: [ORDERS.id] } },
    ]);
  });

  it("adds a pipeline only by its button, so that the arrow keys can move past others", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Choose pipelines" }));
    await card.findByRole("option", { name: "Orders" });
    const picker = card.getByRole("combobox", { name: "Add a pipeline" });
    await userEvent.selectOptions(picker, "Customers");
    await userEvent.selectOptions(picker, "Orders");
    await userEvent.click(card.getByRole("button", { name: "Add" }));
    expect(card.getAllByRole("button", { name: /^Remove/ })).toHaveLength(1);
    expect(card.queryByRole("option", { name: "Orders" })).toBeNull();
  });

  it("tells a window of one hour in the singular", async () => {
    startApp(["read"]);
    dependencies = { ...BLOCKED, window_seconds: 3600 };
    const card = await openCard();
    expect(await card.findByText(/within 1 hour:$/)).toBeTruthy();
  });

  it("tells a window that is no whole number of hours in minutes, and the form keeps it", async () => {
    startApp(["read", "pipelines.edit"]);
    dependencies = { ...BLOCKED, window_seconds: 100 * 60 };
    const card = await openCard();
    expect(await card.findByText(/within 100 minutes:$/)).toBeTruthy();
    await userEvent.click(card.getByRole("button", { name: "Change" }));
    expect(card.getByDisplayValue("1.6667")).toBeTruthy();
    await userEvent.click(card.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toMatchObject({ body: { window_seconds: 100 * 60 } });
  });

  it("a cycle is shown at the pipelines, and what was chosen stays", async () => {
    startApp(["read", "pipelines.edit"]);
    refused = true;
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Choose pipelines" }));
    await card.findByRole("option", { name: "Orders" });
    await addPipeline(card, "Orders");
    await userEvent.click(card.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(card.getByText(CYCLE)).toBeTruthy());
    expect(card.getByRole("button", { name: "Remove Orders" })).toBeTruthy();
  });

  it("a viewer sees the pipelines before and after it, and cannot change them", async () => {
    startApp(["read"]);
    dependencies = BLOCKED;
    const card = await openCard();
    expect(await card.findByRole("link", { name: "Orders" })).toBeTruthy();
    expect(card.getByRole("link", { name: "Customers" })).toBeTruthy();
    expect(card.getByText("And 1 more that you cannot see.")).toBeTruthy();
    expect(card.queryByRole("button")).toBeNull();
  });
});
