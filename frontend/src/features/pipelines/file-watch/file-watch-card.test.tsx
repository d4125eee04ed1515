// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Dependencies, FileWatch, FileWatchChange } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { NO_STATISTICS, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, refusal, startServer } from "@/test-server";

const OFF: FileWatch = {
  possible: true,
  enabled: false,
  minutes: 5,
  next_look_at: null,
  looked_at: null,
  files: null,
  problem: "",
  waiting: false,
  reason: "",
};
const ON: FileWatch = {
  ...OFF,
  enabled: true,
  next_look_at: "2026-11-20T08:10:00Z",
  looked_at: "2026-11-20T08:05:00Z",
  files: 12,
};

let held: Promise<void> | undefined; // until which the pipeline is not answered
let watch: FileWatch;
let version: number;
let sent: { body: FileWatchChange; match: string | null }[];

startServer(
  http.get("/api/v1/pipelines/{id}", async ({ response }) => {
    await held;
    return response(200).json(PIPELINE, { headers: { ETag: '"1"' } });
  }),
  http.get("/api/v1/pipelines/{id}/dependencies", ({ response }) =>
    response(200).json(part<Dependencies>({ upstreams: [], downstreams: [], hidden: 0, reason: "" })),
  ),
  http.get("/api/v1/pipelines/{id}/file-watch", ({ response }) =>
    response(200).json(watch, { headers: { ETag: `"${version}"` } }),
  ),
  http.put("/api/v1/pipelines/{id}/file-watch", async ({ request, response }) => {
    const body = await request.json();
    sent.push({ body, match: request.headers.get("If-Match") });
    if ((body.minutes ?? 5) > 1440) {
      const errors = [{ field: "minutes", message: "At most 1440.", code: "max_value" }];
      return response.untyped(refusal(422, { errors }));
    }
    watch = { ...(body.enabled ? ON : OFF), minutes: body.minutes ?? 5 };
    version += 1;
    return response(200).json(watch, { headers: { ETag: `"${version}"` } });
  }),
  NO_STATISTICS,
  EMPTY_LISTS,
);

beforeEach(() => {
  held = undefined;
  watch = OFF;
  version = 1;
  sent = [];
});
afterEach(cleanup);

async function openCard() {
  await openPage(`/pipelines/${PIPELINE.id}/schedule`);
  return within(await screen.findByRole("region", { name: "When new files arrive" }));
}

describe("the watch for files", () => {
  it("is enabled by a switch, and then says when it looks", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("switch"));
    expect(await card.findByText(/Last look.*: 12 files\..*Next look/)).toBeTruthy();
    const body = { enabled: true, minutes: 5, present_files_are_new: false };
    expect(sent).toEqual([{ body, match: '"1"' }]);
  });

  it("starts a run for the files that are there if somebody chooses so before", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("checkbox", { name: /^Files that are there now/ }));
    await userEvent.click(card.getByRole("switch"));
    expect(await card.findByText(/Last look/)).toBeTruthy();
    const body = { enabled: true, minutes: 5, present_files_are_new: true };
    expect(sent).toEqual([{ body, match: '"1"' }]);
    expect(card.queryByRole("checkbox")).toBeNull();
  });

  it("takes other minutes, and shows why some are refused", async () => {
    watch = ON;
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    const field = () => card.getByLabelText<HTMLInputElement>("Minutes between looks");
    await userEvent.clear(field());
    await userEvent.type(field(), "2000{Enter}");
    expect(await card.findByText("At most 1440.")).toBeTruthy();
    expect(field().getAttribute("aria-invalid")).toBe("true");
    await userEvent.clear(field());
    await userEvent.type(field(), "30{Enter}");
    await waitFor(() => expect(watch.minutes).toBe(30));
    await waitFor(() => expect(card.queryByText("At most 1440.")).toBeNull());
  });

  it("keeps minutes that were typed before the switch was saved", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    let release = () => {};
    held = new Promise((resolve) => {
      release = resolve;
    });
    await userEvent.click(await card.findByRole("switch"));
    const field = await card.findByLabelText<HTMLInputElement>("Minutes between looks");
    await userEvent.clear(field);
    await userEvent.type(field, "30");
    release();
    await waitFor(() => expect(card.getByRole<HTMLButtonElement>("switch").disabled).toBe(false));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(field.value).toBe("30");
    expect(card.getByRole("button", { name: "Save" }).getAttribute("aria-disabled")).not.toBe("true");
  });

  it("says why a look has failed, and why files have not started a run", async () => {
    const reason = "The pipeline is disabled. The files start it when it is enabled again.";
    watch = { ...ON, problem: "The server did not answer.", waiting: true, reason };
    startApp(["read"]);
    const card = await openCard();
    expect(await card.findByText("The last look has failed: The server did not answer.")).toBeTruthy();
    expect(card.getByText(reason)).toBeTruthy();
    expect(card.getByText("It looks every 5 minutes.")).toBeTruthy();
    expect(card.queryByRole("switch")).toBeNull();
  });

  it("is not offered for a source without files", async () => {
    watch = { ...OFF, possible: false };
    startApp(["read", "pipelines.edit"]);
    await openPage(`/pipelines/${PIPELINE.id}/schedule`);
    await screen.findByRole("region", { name: "After a run" });
    expect(screen.queryByRole("region", { name: "When new files arrive" })).toBeNull();
  });
});
