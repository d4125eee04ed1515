// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { closeAgentPanel, openAgentPanel, showInAgentPanel } from "./agent-panel";
import { router } from "./router";
import { openPage, startApp } from "./test-app";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";
const PERMISSIONS = ["agent.use", "custom_sources.edit", "domains.manage", "members.manage", "api_keys.own"];
const SOURCE = {
  id: ID,
  name: "Shop",
  description: "",
  archived: false,
  repository_id: null,
  latest_version: 1,
  approved_version: 1,
  version: { number: 1, code: "", approved: true },
};
const DOMAIN = { id: ID, name: "Marketing" };
const MEMBER = {
  id: ID,
  user_id: "u2",
  name: "Grace",
  email: "grace@example.com",
  kind: "person",
  role: "viewer",
};
const CONVERSATION = { id: ID, title: "Flights", graph: "main", updated_at: "2026-01-01T00:00:00Z" };

/** Answers as a server from which the objects disappear when one of them is deleted. */
class Server {
  isDeleted = false;
  /** The requests that were answered with 404 after the deletion. */
  readonly missed: string[] = [];

  readonly answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (request.method === "DELETE") {
      this.isDeleted = true;
      return new Response(null, { status: 204 });
    }
    if (!pathname.includes(ID)) return Response.json(this.list(pathname));
    if (this.isDeleted) {
      this.missed.push(`${request.method} ${pathname}`);
      return Response.json({ title: "Not found", detail: "Not found" }, { status: 404 });
    }
    if (pathname.endsWith("/events")) return eventStream(request.signal);
    return Response.json(this.one(pathname));
  };

  private list(pathname: string) {
    const rows: Record<string, object> = {
      "/api/v1/custom-sources": SOURCE,
      "/api/v1/org/domains": DOMAIN,
      "/api/v1/org/members": MEMBER,
      "/api/v1/agent/conversations": CONVERSATION,
    };
    const row = rows[pathname];
    return { results: row && !this.isDeleted ? [row] : [], next: null, previous: null };
  }

  private one(pathname: string) {
    if (pathname.endsWith("/access")) return { permissions: [{ permission: "runs.view", reason: "viewer" }] };
    if (pathname.includes("/domains/")) return { ...DOMAIN, members: [] };
    return pathname.endsWith("/versions") ? { results: [], next: null } : SOURCE;
  }
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

let server: Server;

beforeEach(() => {
  server = new Server();
  startApp(PERMISSIONS, server.answer);
});
afterEach(() => {
  cleanup();
  closeAgentPanel();
  showInAgentPanel(null);
  vi.unstubAllGlobals();
});

/** Clicks the button of the page, and then the button with the same name in the dialog. */
async function confirm(name: RegExp) {
  await userEvent.click(screen.getByRole("button", { name }));
  const dialogs = await screen.findAllByRole("dialog");
  const dialog = dialogs.find((element) => element.hasAttribute("open"))!;
  await userEvent.click(within(dialog).getByRole("button", { name: /Delete|Remove/ }));
  await vi.waitFor(() => expect(server.isDeleted).toBe(true));
}

/** Waits until the page shows that the object is gone, and for any request that is late. */
async function expectNoMissedRequest(shown: () => HTMLElement) {
  await waitFor(() => expect(shown()).toBeTruthy());
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(server.missed).toEqual([]);
}

describe("after a deletion, the deleted object is not requested again", () => {
  it("on the page of a custom source", async () => {
    await openPage(`/sources/${ID}`);
    await screen.findByRole("heading", { name: "Shop" });
    await confirm(/^Delete$/);
    await expectNoMissedRequest(() => screen.getByRole("heading", { name: "Custom sources" }));
  });

  it("on the page of a conversation, and in the agent's panel", async () => {
    await openPage(`/agent/${ID}`);
    await screen.findByRole("link", { name: /Flights/ });
    showInAgentPanel(ID);
    await confirm(/^Delete$/);
    await expectNoMissedRequest(() => screen.getByText("Your conversations will be listed here."));
    expect(router.state.location.pathname).toBe("/agent");
    await openPanelOnAnotherPage();
    expect(server.missed).toEqual([]);
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
    await expectNoMissedRequest(() => screen.getByRole("heading", { name: "Members" }));
  });
});

async function openPanelOnAnotherPage() {
  await router.navigate({ to: "/settings/domains" });
  openAgentPanel();
  await screen.findByRole("complementary", { name: "Agent" });
  await screen.findByText("What do you want to do?");
}
