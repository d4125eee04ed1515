// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ApiKey } from "@/api/types";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";
import { keysAsCsv, keyState } from "./key-filter";

const DAY = 86_400_000;
const NOW = Date.now();
const at = (days: number) => new Date(NOW + days * DAY).toISOString();
const key = (name: string, changes: Partial<ApiKey> = {}): ApiKey => ({
  id: name,
  name,
  prefix: `${name}123`,
  role: "member",
  scopes: [],
  domain_id: null,
  created_by: { id: "u1", email: "ada@example.com" },
  created_at: at(-10),
  expires_at: null,
  last_used_at: at(-1),
  revoked_at: null,
  ...changes,
});
let requests: string[];

startServer(
  http.get("/api/v1/org/api-keys", ({ query, response }) => {
    const results =
      query.get("revoked") === "true"
        ? [key("old", { revoked_at: at(-2) })]
        : [key("ci"), key("etl", { expires_at: at(3), scopes: ["pipelines.run"] })];
    return response(200).json({ results, next: null, previous: null, count: results.length });
  }),
  http.delete("/api/v1/org/api-keys/{id}", ({ params, response }) => {
    requests.push(`revoke ${params.id}`);
    return response(204).empty();
  }),
  http.delete("/api/v1/org/members/{id}", ({ params, response }) => {
    requests.push(`remove ${params.id}`);
    return response(204).empty();
  }),
  http.post("/api/v1/org/api-keys/{id}/rotate", async ({ request, params, response }) => {
    requests.push(`rotate ${params.id} ${JSON.stringify(await request.json())}`);
    return response(201).json({ ...key("ci"), key: "drv_new_secret" });
  }),
  http.get("/api/v1/org/service-accounts", ({ response }) =>
    response(200).json(part({ results: [{ id: "s1", name: "Loader", role: "member" }], next: null })),
  ),
  EMPTY_LISTS,
);

beforeEach(() => {
  requests = [];
  startApp(["read", "api_keys.own", "api_keys.manage"]);
});
afterEach(cleanup);

const dialogOf = (name: string) => within(screen.getByRole("dialog", { name }));

describe("the list of API keys", () => {
  it("says what happens next to a key that expires soon, and what it may do", async () => {
    await openPage("/settings/api-keys");
    const row = within((await screen.findByText("etl", { selector: "bdi" })).closest("tr")!);
    expect(row.getByText(/Then requests with it are refused \(401\)\. Rotate it before/)).toBeTruthy();
    expect(row.getByText(/^1.permission of it$/).title).toBe("pipelines.run");
  });

  it("is searched, and shows revoked keys without buttons", async () => {
    await openPage("/settings/api-keys?q=drv_ci123");
    await screen.findByText("ci", { selector: "bdi" });
    expect(screen.queryByText("etl")).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Clear filters" }));
    await userEvent.selectOptions(screen.getByLabelText("State"), "Revoked");
    const row = within((await screen.findByText("old", { selector: "bdi" })).closest("tr")!);
    expect(row.getByText(/^Revoked/)).toBeTruthy();
    expect(row.queryAllByRole("button")).toEqual([]);
  });

  it("has a button that clears the filters where nothing matches", async () => {
    await openPage("/settings/api-keys?q=nothing");
    await screen.findByText("No API keys match");
    const buttons = screen.getAllByRole("button", { name: "Clear filters" });
    expect(buttons).toHaveLength(2);
    await userEvent.click(buttons[1]!);
    await screen.findByText("ci", { selector: "bdi" });
  });

  it("revokes a key only after a question that says what happens", async () => {
    await openPage("/settings/api-keys");
    await userEvent.click(await screen.findByRole("button", { name: /^Revoke\s*ci$/ }));
    const dialog = dialogOf("Revoke ci?");
    expect(dialog.getByText(/refused at once/)).toBeTruthy();
    expect(requests).toEqual([]);
    await userEvent.type(dialog.getByLabelText("Type ci to confirm"), "ci");
    await userEvent.click(dialog.getByRole("button", { name: "Revoke" }));
    await waitFor(() => expect(requests).toEqual(["revoke ci"]));
  });

  it("rotates a key after a question, and shows the new one once", async () => {
    await openPage("/settings/api-keys");
    await userEvent.click(await screen.findByRole("button", { name: /^Rotate\s*ci$/ }));
    await userEvent.click(dialogOf("Rotate ci?").getByRole("button", { name: "Rotate" }));
    await screen.findByText("drv_new_secret");
    expect(requests).toEqual(['rotate ci {"grace_seconds":3600}']);
  });

  it("removes a service account only after a question", async () => {
    await openPage("/settings/api-keys");
    await userEvent.click(await screen.findByRole("button", { name: /^Remove\s*Loader$/ }));
    const dialog = dialogOf("Remove Loader?");
    await userEvent.type(dialog.getByLabelText("Type Loader to confirm"), "Loader");
    await userEvent.click(dialog.getByRole("button", { name: "Remove" }));
    await waitFor(() => expect(requests).toEqual(["remove s1"]));
  });
});

it("a key is expired, expires soon, is unused for 90 days, or needs nothing", () => {
  expect(keyState(key("a", { expires_at: at(-1) }), NOW)).toBe("expired");
  expect(keyState(key("a", { expires_at: at(6) }), NOW)).toBe("expiring");
  expect(keyState(key("a", { expires_at: at(8) }), NOW)).toBe("ok");
  expect(keyState(key("a", { last_used_at: at(-91) }), NOW)).toBe("unused");
  expect(keyState(key("a", { last_used_at: null, created_at: at(-91) }), NOW)).toBe("unused");
  expect(keyState(key("a", { last_used_at: null }), NOW)).toBe("ok");
});

it("the file has no address of a service account, and no formula", () => {
  const service = key("=cmd", { created_by: { id: "s1", email: "s1@service.invalid" } });
  expect(keysAsCsv([service]).split("\r\n")[1]).toMatch(/^'=cmd,drv_=cmd123,member,,,2/);
});
