// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Dependencies, FollowUp, FollowUpCall } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { NO_STATISTICS, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, part, refusal, startServer } from "@/test-server";

const MODELS: FollowUp = {
  id: "0b6a7f0e-0000-4000-8000-000000000005",
  name: "Models",
  kind: "dbt_cloud",
  after: "success",
  settings: {
    url: "https://cloud.getdbt.com",
    account_id: 1,
    job_id: 815,
    token: { set: true, last4: "x4Qz" },
  },
  enabled: true,
  created_at: "2026-11-20T08:00:00Z",
  updated_at: "2026-11-20T08:00:00Z",
};
const CALL: FollowUpCall = {
  id: "0b6a7f0e-0000-4000-8000-000000000006",
  follow_up: { id: MODELS.id, name: "Models" },
  run_id: "0b6a7f0e-0000-4000-8000-000000000007",
  state: "pending",
  attempts: 1,
  next_attempt_at: new Date(Date.now() + 600_000).toISOString(),
  answer_status: 503,
  answer: "",
  problem: "The server answered 503.",
  created_at: "2026-11-20T08:00:00Z",
  sent_at: null,
  test: false,
};
const WEBHOOK: FollowUp = {
  ...MODELS,
  kind: "webhook",
  settings: { url: "https://hooks.example.com/drover", secret: { set: true, last4: "x4Qz" } },
};
const page = <Row,>(results: Row[]) => ({ results, next: null, previous: null, count: results.length });

let followUps: FollowUp[];
let sent: unknown[];
let matches: (string | null)[];
let isRefused: boolean;
let version: number;
let calls: FollowUpCall[];

startServer(
  http.get("/api/v1/pipelines/{id}", ({ response }) =>
    response(200).json(PIPELINE, { headers: { ETag: '"1"' } }),
  ),
  http.get("/api/v1/pipelines/{id}/dependencies", ({ response }) =>
    response(200).json(part<Dependencies>({ upstreams: [], downstreams: [], hidden: 0, reason: "" })),
  ),
  http.get("/api/v1/pipelines/{id}/follow-ups", ({ response }) => response(200).json(page(followUps))),
  http.get("/api/v1/pipelines/{id}/follow-ups/calls", ({ response }) => response(200).json(page(calls))),
  http.post("/api/v1/pipelines/{id}/follow-ups", async ({ request, response }) => {
    sent.push(await request.json());
    if (isRefused) {
      const errors = [{ field: "settings.token", message: "Too short.", code: "min_length" }];
      return response.untyped(refusal(422, { errors }));
    }
    followUps = [MODELS];
    return response(201).json(MODELS);
  }),
  http.get("/api/v1/pipelines/{id}/follow-ups/{follow_up}", ({ response }) =>
    response(200).json(followUps[0]!, { headers: { ETag: `"${version}"` } }),
  ),
  http.patch("/api/v1/pipelines/{id}/follow-ups/{follow_up}", async ({ request, response }) => {
    const body = await request.json();
    sent.push(body);
    matches.push(request.headers.get("If-Match"));
    if (isRefused) {
      const message = "Enter it again, because the URL has changed.";
      const errors = [{ field: "settings.secret", message, code: "required" }];
      return response.untyped(refusal(422, { errors }));
    }
    followUps = [{ ...followUps[0]!, ...part<FollowUp>(body ?? {}) }];
    return response(200).json(followUps[0]!);
  }),
  http.post("/api/v1/pipelines/{id}/follow-ups/{follow_up}/test", ({ response }) => {
    calls = [
      { ...CALL, id: "0b6a7f0e-0000-4000-8000-000000000008", test: true, state: "sent", answer: "ok" },
    ];
    return response(202).json(calls[0]!);
  }),
  NO_STATISTICS,
  EMPTY_LISTS,
);

beforeEach(() => {
  followUps = [MODELS];
  sent = [];
  matches = [];
  isRefused = false;
  version = 3;
  calls = [CALL];
});
afterEach(cleanup);

async function openCard() {
  await openPage(`/pipelines/${PIPELINE.id}/schedule`);
  return within(await screen.findByRole("region", { name: "After a run" }));
}

describe("what is called after a run", () => {
  it("is a job of dbt Cloud, with numbers as numbers", async () => {
    followUps = [];
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Add a call" }));
    expect(document.activeElement).toBe(card.getByLabelText("Name"));
    await userEvent.type(card.getByLabelText("Name"), "Models");
    await userEvent.selectOptions(card.getByLabelText("What to call"), "dbt_cloud");
    await userEvent.type(card.getByLabelText("Access URL"), "https://cloud.getdbt.com");
    await userEvent.type(card.getByLabelText("Account ID"), "1");
    await userEvent.type(card.getByLabelText("Job ID"), "815");
    await userEvent.type(card.getByLabelText("Service token"), "dbtc_secret");
    await userEvent.click(card.getByRole("button", { name: "Add" }));
    expect(await card.findByText(/^Job of dbt Cloud, after each success/)).toBeTruthy();
    expect(sent).toEqual([
      {
        name: "Models",
        kind: "dbt_cloud",
        after: "success",
        settings: { url: "https://cloud.getdbt.com", account_id: 1, job_id: 815, token: "dbtc_secret" },
      },
    ]);
  });

  it("keeps the form open with the reason at the field that the server refuses", async () => {
    isRefused = true;
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Add a call" }));
    await userEvent.type(card.getByLabelText("Name"), "Models");
    await userEvent.selectOptions(card.getByLabelText("What to call"), "dbt_cloud");
    await userEvent.type(card.getByLabelText("Access URL"), "https://cloud.getdbt.com");
    await userEvent.type(card.getByLabelText("Account ID"), "1");
    await userEvent.type(card.getByLabelText("Job ID"), "815");
    await userEvent.type(card.getByLabelText("Service token"), "short");
    await userEvent.click(card.getByRole("button", { name: "Add" }));
    expect(await card.findByText("Too short.")).toBeTruthy();
    expect(card.getByLabelText("Service token").getAttribute("aria-invalid")).toBe("true");
  });

  it("can be disabled, and its calls say what was answered", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    expect(await card.findByText("Retrying")).toBeTruthy();
    const outcome = card.getByText(/^The server answered 503\. It is called again/);
    expect(outcome.textContent).not.toMatch(/\.\.$/);
    await userEvent.click(card.getByRole("switch"));
    await waitFor(() => expect(card.getByRole("switch").getAttribute("aria-checked")).toBe("false"));
    expect(sent).toEqual([{ enabled: false }]);
  });

  it("is changed over the version that was opened, and keeps a secret that nobody types", async () => {
    followUps = [WEBHOOK];
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    const edit = await card.findByRole("button", { name: "Edit Models" });
    await userEvent.click(edit);
    const url = await card.findByLabelText<HTMLInputElement>("URL");
    expect(url.value).toBe("https://hooks.example.com/drover");
    expect(card.getByText("Set, ends in x4Qz. Leave blank to keep it.")).toBeTruthy();
    await userEvent.type(url, "/new");
    await userEvent.selectOptions(card.getByLabelText("When"), "end");
    await userEvent.click(card.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(document.activeElement).toBe(edit));
    expect(sent).toEqual([
      {
        name: "Models",
        after: "end",
        settings: { url: "https://hooks.example.com/drover/new", secret: { set: true, last4: "x4Qz" } },
      },
    ]);
    expect(matches).toEqual(['"3"']);
    expect(await card.findByText(/drover\/new$/)).toBeTruthy();
  });

  it("says at the field that the secret has to be entered again", async () => {
    followUps = [WEBHOOK];
    isRefused = true;
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Edit Models" }));
    await userEvent.type(await card.findByLabelText("URL"), "/new");
    await userEvent.click(card.getByRole("button", { name: "Save" }));
    expect(await card.findByText("Enter it again, because the URL has changed.")).toBeTruthy();
    expect(card.getByLabelText("Secret").getAttribute("aria-invalid")).toBe("true");
  });

  it("is tested with a button, and its answer is listed", async () => {
    followUps = [WEBHOOK];
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Test Models" }));
    expect(await card.findByText(/^test/)).toBeTruthy();
    expect(card.getByText("Accepted")).toBeTruthy();
  });

  it("starts a job of dbt Cloud as a test only after a confirmation", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Test Models" }));
    expect(calls).toEqual([CALL]);
    const dialog = within(screen.getByRole("dialog", { name: "Start job 815 of dbt Cloud?" }));
    await userEvent.click(dialog.getByRole("button", { name: "Start the job" }));
    expect(await card.findByText(/^test/)).toBeTruthy();
  });

  it("can be seen, and not changed, by a viewer", async () => {
    startApp(["read"]);
    const card = await openCard();
    expect(await card.findByText(/job 815$/)).toBeTruthy();
    expect(card.queryByRole("button", { name: /Add|Edit|Test|Delete/ })).toBeNull();
    expect(card.queryByRole("switch")).toBeNull();
  });
});
