// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { http as untyped, HttpResponse } from "msw";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { closeAgentPanel, openAgentPanel, showInAgentPanel } from "./agent-panel";
import { router } from "./router";
import type { CustomSource, Member, Permission } from "./api/types";
import { openPage, startApp } from "./test-app";
import { EMPTY_LISTS, http, part, refusal, startServer } from "./test-server";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const PERMISSIONS: Permission[] = [
  "agent.use",
  "custom_sources.edit",
  "domains.manage",
  "members.manage",
  "api_keys.own",
];
const SOURCE = part<CustomSource>({
  id: ID,
  name: "Shop",
  description: "",
  archived: false,
  repository_id: null,
  latest_version: 1,
  approved_version: 1,
  version: { number: 1, code: "" },
});
const DOMAIN = { id: ID, name: "Marketing" };
const MEMBER = part<Member>({
  id: ID,
  user_id: "u2",
  name: "Grace",
  email: "grace@example.com",
  kind: "person",
  role: "viewer",
});
const CONVERSATION = {
  id: ID,
  title: "Flights",
  graph: "main" as const,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
};

/** Whether the object was deleted, and the requests for it that were answered with 404 afterwards. */
let isDeleted: boolean;
const missed: string[] = [];

function list<Row>(row: Row) {
  const results = isDeleted ? [] : [row];
  return { results, next: null, previous: null, count: results.length };
}

startServer(
  untyped.delete(`*/${ID}`, () => {
    isDeleted = true;
    return new HttpResponse(null, { status: 204 });
  }),
  untyped.all(`*/${ID}*`, ({ request }) => miss(request)),
  untyped.all(`*/${ID}/*`, ({ request }) => miss(request)),
  http.get("/api/v1/custom-sources", ({ response }) => response(200).json(part(list(SOURCE)))),
  http.get("/api/v1/custom-sources/{id}", ({ response }) => response(200).json(SOURCE)),
  http.get("/api/v1/org/domains", ({ response }) => response(200).json(part(list(DOMAIN)))),
  http.get("/api/v1/org/domains/{id}", ({ response }) =>
    response(200).json(part({ ...DOMAIN, members: [] })),
  ),
  http.get("/api/v1/org/members", ({ response }) => response(200).json(part(list(MEMBER)))),
  http.get("/api/v1/org/members/{id}/access", ({ response }) =>
    response(200).json(part({ permissions: [{ permission: "read", because: "viewer" }] })),
  ),
  http.get("/api/v1/agent/conversations", ({ response }) => response(200).json(part(list(CONVERSATION)))),
  untyped.get(`*/api/v1/agent/conversations/${ID}/events`, ({ request }) => eventStream(request.signal)),
  EMPTY_LISTS,
);

/** Refuses a request for the object after the deletion. Before it, another answer is given. */
function miss({ method, url }: Request) {
  if (!isDeleted) return undefined;
  missed.push(`${method} ${new URL(url).pathname}`);
  return refusal(404);
}

/** A stream that sends the conversation and stays open. */
function eventStream(signal: AbortSignal): Response {
  const conversation = JSON.stringify({ ...CONVERSATION, event_sequence: 0, earlier_turns: 0, turns: [] });
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(`event: conversation\nid: 0\ndata: ${conversation}\n\n`));
      signal.addEventListener("abort", () => controller.error(new Error("aborted")));
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

beforeEach(() => {
  isDeleted = false;
  missed.length = 0;
  startApp(PERMISSIONS);
});
afterEach(() => {
  cleanup();
  closeAgentPanel();
  showInAgentPanel(null);
});

/** Clicks the button of the page, and then the button with the same name in the dialog. */
async function confirm(name: RegExp) {
  await userEvent.click(screen.getByRole("button", { name }));
  const dialogs = await screen.findAllByRole("dialog");
  const dialog = dialogs.find((element) => element.hasAttribute("open"))!;
  const field = within(dialog).getByLabelText<HTMLInputElement>(/^Type .* to confirm$/);
  await userEvent.type(field, field.labels![0]!.textContent.replace(/^Type (.*) to confirm\s*$/, "$1"));
  await userEvent.click(within(dialog).getByRole("button", { name: /Delete|Remove/ }));
  await vi.waitFor(() => expect(isDeleted).toBe(true));
}

/** Waits until the page shows that the object is gone, and for any request that is late. */
async function expectNoMissedRequest(shown: () => HTMLElement) {
  await waitFor(() => expect(shown()).toBeTruthy());
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(missed).toEqual([]);
}

describe("after a deletion, the deleted object is not requested again", () => {
  it("on the page of a custom source", async () => {
    await openPage(`/sources/${ID}`);
    await screen.findByRole("heading", { name: "Shop" });
    await confirm(/^Delete$/);
    // The number of sources is a part of the heading when it has arrived.
    await expectNoMissedRequest(() => screen.getByRole("heading", { name: /^Custom sources/ }));
  });

  it("on the page of a conversation, and in the agent's panel", async () => {
    await openPage(`/agent/${ID}`);
    await screen.findByRole("link", { name: /Flights/ });
    showInAgentPanel(ID);
    await confirm(/^Delete$/);
    await expectNoMissedRequest(() => screen.getByText("Your conversations will be listed here."));
    expect(router.state.location.pathname).toBe("/agent");
    await openPanelOnAnotherPage();
    expect(missed).toEqual([]);
  });

  it("on the page of the domains, with the roles of the domain open", async () => {
    await openPage("/settings/domains");
    await userEvent.click(await screen.findByRole("button", { name: /Domain roles/ }));
    await screen.findByText("No domain roles yet.");
    await confirm(/^Delete/);
    await expectNoMissedRequest(() => screen.getByText("No domains yet"));
  });

  it("on the page of the members, with the permissions of the member open", async () => {
    await openPage("/settings/members");
    await userEvent.click(await screen.findByRole("button", { name: /View permissions/ }));
    await screen.findByRole("heading", { name: "Permissions of Grace" });
    await confirm(/^Remove/);
    await waitFor(() => expect(screen.queryByText("Grace")).toBeNull());
    await expectNoMissedRequest(() => screen.getByRole("heading", { name: /^Members/ }));
  });
});

async function openPanelOnAnotherPage() {
  await router.navigate({ to: "/settings/domains" });
  openAgentPanel();
  await screen.findByRole("complementary", { name: "Agent" });
  await screen.findByText("What do you want to do?");
}
