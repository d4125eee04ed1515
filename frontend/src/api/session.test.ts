// @vitest-environment jsdom
import { http as untyped, HttpResponse } from "msw";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { startServer } from "@/test-server";
import type { Session } from "./types";

const makeSession = (access: string, org = "o1"): Session => ({
  access,
  expires_in: 600,
  user: {
    id: "u1",
    email: "a@b.c",
    name: "A",
    email_verified: true,
    has_password: true,
    limited: false,
    second_factor: false,
  },
  organization: {
    id: org,
    name: "Org",
    slug: "org",
    role: "owner",
    permissions: [],
    domains: [],
    suspended_at: null,
    deletion_at: null,
    closed: null,
  },
  organizations: [],
  version: "1.4.0",
});
const jsonResponse = (body: object, status = 200) => HttpResponse.json(body, { status });
const getRequest = () => new Request(new URL("/api/v1/pipelines", location.href));
const server = startServer();

async function loadModule(respond: (request: Request) => Response | Promise<Response>) {
  vi.resetModules();
  const calls: { path: string; token: string | null; body: string }[] = [];
  server.use(
    untyped.all("*/api/v1/*", async ({ request }) => {
      calls.push({
        path: new URL(request.url).pathname,
        token: request.headers.get("Authorization"),
        body: await request.clone().text(),
      });
      return respond(request);
    }),
  );
  return { calls, module: await import("./session") };
}

beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
});

describe("the session", () => {
  it("refreshes the token once if several requests got 401", async () => {
    let refreshes = 0;
    const { module, calls } = await loadModule((request) => {
      if (request.url.endsWith("/refresh")) {
        refreshes += 1;
        return jsonResponse(makeSession("new"));
      }
      return jsonResponse({}, request.headers.get("Authorization") === "Bearer new" ? 200 : 401);
    });
    module.startSession(makeSession("old"));
    const responses = await Promise.all(
      [getRequest(), getRequest(), getRequest()].map(module.authorizedFetch),
    );
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(refreshes).toBe(1);
    expect(calls.filter(({ token }) => token === "Bearer old")).toHaveLength(3);
  });

  it("retries a request only once after 401", async () => {
    const { module, calls } = await loadModule((request) =>
      request.url.endsWith("/refresh") ? jsonResponse(makeSession("new")) : jsonResponse({}, 401),
    );
    module.startSession(makeSession("old"));
    expect((await module.authorizedFetch(getRequest())).status).toBe(401);
    expect(calls).toHaveLength(3);
  });

  it("keeps the session of the open page if the refresh is refused, and sends nothing until the next log-in", async () => {
    const { module, calls } = await loadModule(() => jsonResponse({}, 401));
    module.startSession(makeSession("old"));
    const listener = vi.fn();
    module.onSessionChange(listener);
    await module.authorizedFetch(getRequest());
    expect(module.currentSession().status).toBe("expired");
    expect(module.openSession()?.user.id).toBe("u1");
    expect(listener).toHaveBeenCalled();
    expect(calls).toHaveLength(2);
    expect((await module.authorizedFetch(getRequest())).status).toBe(401);
    expect(calls).toHaveLength(2);
  });

  it("becomes anonymous if there was no page to keep", async () => {
    localStorage.setItem("drover.remembered", "yes");
    const { module } = await loadModule(() => jsonResponse({}, 401));
    await module.resumeSession();
    expect(module.currentSession().status).toBe("anonymous");
  });

  it("goes on with a log-in that was faster than a refused refresh", async () => {
    let refuse: (() => void) | null = null;
    const { module } = await loadModule(
      () => new Promise((resolve) => (refuse = () => resolve(jsonResponse({}, 401)))),
    );
    module.startSession(makeSession("old"));
    const refresh = module.refreshSession();
    await vi.waitFor(() => expect(refuse).not.toBeNull());
    module.startSession(makeSession("new"));
    refuse!();
    expect(await refresh).toBe(true);
    expect(module.currentSession().status).toBe("logged-in");
  });

  it("gets the permissions anew after a refused request, but not after each", async () => {
    const { module, calls } = await loadModule((request) =>
      request.url.endsWith("/refresh") ? jsonResponse(makeSession("new")) : jsonResponse({}, 403),
    );
    module.startSession(makeSession("old"));
    await module.authorizedFetch(getRequest());
    await module.authorizedFetch(getRequest());
    await vi.waitFor(() => expect(module.currentSession()).toMatchObject({ session: { access: "new" } }));
    expect(calls.filter(({ path }) => path.endsWith("/refresh"))).toHaveLength(1);
  });

  it("stays logged in if the server responds with 503", async () => {
    const { module } = await loadModule(() => jsonResponse({}, 503));
    module.startSession(makeSession("old"));
    await expect(module.refreshSession()).rejects.toThrow("could not process");
    expect(module.currentSession().status).toBe("logged-in");
  });

  it("resumes in this tab's organization, or in another organization if the user has left the first", async () => {
    sessionStorage.setItem("drover.org", "o2");
    localStorage.setItem("drover.remembered", "yes");
    const { module, calls } = await loadModule(async (request) =>
      (await request.clone().text()).includes("o2")
        ? jsonResponse({}, 404)
        : jsonResponse(makeSession("t", "o1")),
    );
    await module.resumeSession();
    expect(calls.map(({ body }) => body)).toEqual(['{"org":"o2"}', "{}"]);
    expect(module.currentSession()).toMatchObject({
      status: "logged-in",
      session: { organization: { id: "o1" } },
    });
  });

  it("sends no request if there was no session, and never stores the token", async () => {
    const { module, calls } = await loadModule(() => jsonResponse({}, 500));
    await module.resumeSession();
    expect(calls).toHaveLength(0);
    module.startSession(makeSession("very-secret"));
    expect(JSON.stringify([{ ...localStorage }, { ...sessionStorage }])).not.toContain("very-secret");
  });
});
