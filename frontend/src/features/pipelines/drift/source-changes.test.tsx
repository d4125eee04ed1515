// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import type { Permission, Pipeline, SourceChange } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { NO_STATISTICS, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";
import { NEW_COLUMN } from "@/components/source-changes/test-change";
import { changeInWords } from "@/components/source-changes/words";

const ID = PIPELINE.id;
let schedule: Pipeline["schedule"];
let changes: SourceChange[];
let decisions: unknown[];

startServer(
  http.get("/api/v1/pipelines/{id}", ({ response }) => response(200).json({ ...PIPELINE, schedule })),
  http.get("/api/v1/pipelines/{id}/drift", ({ response }) =>
    response(200).json({ results: changes, next: null, previous: null, count: changes.length }),
  ),
  http.post("/api/v1/pipelines/{id}/drift/{change_id}", async ({ request, response }) => {
    decisions.push(await request.json());
    changes = [];
    return response(200).json(NEW_COLUMN);
  }),
  NO_STATISTICS,
  EMPTY_LISTS,
);

afterEach(cleanup);

/** Shows the page of the pipeline with one change, and returns the decisions that were sent. */
async function open(permissions: Permission[], shown: Pipeline["schedule"] = null) {
  [schedule, changes, decisions] = [shown, [NEW_COLUMN], []];
  startApp(permissions);
  await openPage(`/pipelines/${ID}`);
  return decisions;
}

describe("the changes at the source of a pipeline", () => {
  it("are accepted one by one, and are gone afterwards", async () => {
    const decisions = await open(["read", "pipelines.edit"]);
    const card = await screen.findByRole("region", { name: "Changes at the source" });
    expect(within(card).getByText(/new column gate \(text\)/)).toBeTruthy();
    expect(within(card).getByText(/Runs fail until it is accepted/)).toBeTruthy();
    expect(within(card).queryByRole("button", { name: /^Pause schedule/ })).toBeNull();
    await userEvent.click(within(card).getByRole("button", { name: /^Accept: flights, new column gate/ }));
    await waitFor(() => expect(screen.queryByText("Changes at the source")).toBeNull());
    expect(decisions).toEqual([{ decision: "accept" }]);
  });

  it("can pause the schedule", async () => {
    const daily = part<NonNullable<Pipeline["schedule"]>>({
      cron: "0 6 * * *",
      interval_seconds: null,
      timezone: "UTC",
      paused_at: null,
    });
    const decisions = await open(["read", "pipelines.edit"], daily);
    await userEvent.click(await screen.findByRole("button", { name: /^Pause schedule: flights/ }));
    await waitFor(() => expect(decisions).toEqual([{ decision: "pause" }]));
  });

  it("are shown to a viewer without buttons", async () => {
    await open(["read"]);
    const card = await screen.findByRole("region", { name: "Changes at the source" });
    expect(within(card).queryAllByRole("button")).toEqual([]);
  });

  it("are told in words", () => {
    const words = (change: Partial<SourceChange>) => changeInWords({ ...NEW_COLUMN, ...change });
    expect(words({ after: "" })).toBe("new column gate");
    expect(words({ kind: "column_removed", before: "text" })).toBe("column gate (text) is gone");
    expect(words({ kind: "type_changed", before: "int", after: "text" })).toBe(
      "column gate was int and is text now",
    );
    expect(words({ kind: "key_changed", before: "id", after: "" })).toBe(
      "the primary key was id and is none now",
    );
    expect(words({ kind: "stream_missing" })).toMatch(/no longer has this stream/);
  });
});
