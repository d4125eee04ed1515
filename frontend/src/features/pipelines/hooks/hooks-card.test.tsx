// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Dependencies, Hook } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { NO_STATISTICS, PIPELINE } from "@/test-pipeline";
import { EMPTY_LISTS, http, refusal, startServer } from "@/test-server";

const SHOP: Hook = {
  id: "0b6a7f0e-0000-4000-8000-000000000004",
  name: "Shop",
  url: "https://drover.example.com/api/v1/hooks/0b6a7f0e-0000-4000-8000-000000000004",
  credential: "token",
  secret_last4: "9f2c",
  enabled: true,
  last_used_at: null,
  created_at: "2026-11-20T08:00:00Z",
};
const SECRET = "drvh_shown-once";
const NO_DEPENDENCIES: Dependencies = {
  mode: "all",
  window_seconds: null,
  state: "none",
  reason: "",
  upstreams: [],
  downstreams: [],
  hidden: 0,
};

let hooks: Hook[];
let sent: [method: string, body?: unknown][];
let isNameTaken: boolean;

startServer(
  http.get("/api/v1/pipelines/{id}", ({ response }) =>
    response(200).json(PIPELINE, { headers: { ETag: '"1"' } }),
  ),
  http.get("/api/v1/pipelines/{id}/dependencies", ({ response }) => response(200).json(NO_DEPENDENCIES)),
  http.get("/api/v1/pipelines/{id}/hooks", ({ response }) =>
    response(200).json({ results: hooks, next: null, previous: null, count: hooks.length }),
  ),
  http.post("/api/v1/pipelines/{id}/hooks", async ({ request, response }) => {
    sent.push(["create", await request.json()]);
    if (isNameTaken)
      return response.untyped(
        refusal(422, { errors: [{ field: "name", message: "Enter another name.", code: "taken" }] }),
      );
    hooks = [SHOP];
    return response(201).json({ ...SHOP, secret: SECRET });
  }),
  http.post("/api/v1/pipelines/{id}/hooks/{hook}/rotate", ({ response }) => {
    sent.push(["rotate"]);
    return response(200).json({ ...SHOP, secret: SECRET });
  }),
  http.patch("/api/v1/pipelines/{id}/hooks/{hook}", async ({ request, response }) => {
    sent.push(["change", await request.json()]);
    hooks = [{ ...SHOP, enabled: false }];
    return response(200).json(hooks[0]!);
  }),
  http.delete("/api/v1/pipelines/{id}/hooks/{hook}", ({ response }) => {
    sent.push(["delete"]);
    hooks = [];
    return response(204).empty();
  }),
  NO_STATISTICS,
  EMPTY_LISTS,
);

beforeEach(() => {
  hooks = [SHOP];
  sent = [];
  isNameTaken = false;
});
afterEach(cleanup);

async function openCard() {
  await openPage(`/pipelines/${PIPELINE.id}/schedule`);
  return within(await screen.findByRole("region", { name: "Hooks" }));
}

describe("the hooks of a pipeline", () => {
  it("are created with a name, and the secret is shown once", async () => {
    hooks = [];
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Create a hook" }));
    expect(document.activeElement).toBe(card.getByLabelText("Name"));
    await userEvent.type(card.getByLabelText("Name"), "Shop");
    await userEvent.selectOptions(card.getByLabelText("How a call is checked"), "signature");
    await userEvent.click(card.getByRole("button", { name: "Create" }));
    expect(await card.findByText(SECRET)).toBeTruthy();
    expect(card.getByText("Secret of Shop (shown only once)")).toBeTruthy();
    expect(await card.findByText(SHOP.url)).toBeTruthy();
    expect(sent).toEqual([["create", { name: "Shop", credential: "signature" }]]);
  });

  it("keep the form open with the reason if the server refuses the name", async () => {
    isNameTaken = true;
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("button", { name: "Create a hook" }));
    await userEvent.type(card.getByLabelText("Name"), "Shop");
    await userEvent.click(card.getByRole("button", { name: "Create" }));
    expect(await card.findByText("Enter another name.")).toBeTruthy();
    expect(card.getByLabelText<HTMLInputElement>("Name").value).toBe("Shop");
  });

  it("are disabled, renewed, and deleted by their name", async () => {
    startApp(["read", "pipelines.edit"]);
    const card = await openCard();
    await userEvent.click(await card.findByRole("switch"));
    await waitFor(() => expect(card.getByRole("switch").getAttribute("aria-checked")).toBe("false"));
    await userEvent.click(card.getByRole("button", { name: "Renew secret" }));
    await userEvent.click(await screen.findByRole("button", { name: "Renew" }));
    expect(await card.findByText(SECRET)).toBeTruthy();
    await userEvent.click(card.getByRole("button", { name: "Delete" }));
    const dialog = within(await screen.findByRole("dialog"));
    await userEvent.type(dialog.getByRole("textbox"), "Shop");
    await userEvent.click(dialog.getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(card.queryByText(SHOP.url)).toBeNull());
    expect(sent).toEqual([["change", { enabled: false }], ["rotate"], ["delete"]]);
  });

  it("can be seen, and not changed, by a viewer", async () => {
    startApp(["read"]);
    const card = await openCard();
    expect(await card.findByText(SHOP.url)).toBeTruthy();
    expect(card.queryAllByRole("switch")).toEqual([]);
    expect(card.queryByRole("button", { name: /Create|Renew|Delete/ })).toBeNull();
  });
});
