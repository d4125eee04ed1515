// @vitest-environment jsdom
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Session } from "./types";

const session = (access: string, org = "o1"): Session => ({
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
});
const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });
const get = () => new Request("http://drover.test/api/v1/pipelines");

async function fresh(answers: (request: Request) => Response | Promise<Response>) {
  vi.resetModules();
  const calls: { path: string; token: string | null; body: string }[] = [];
  vi.stubGlobal("fetch", async (input: RequestInfo, init?: RequestInit) => {
    const request =
      input instanceof Request ? input : new Request(new URL(input, "http://drover.test"), init);
    calls.push({
      path: new URL(request.url).pathname,
      token: request.headers.get("Authorization"),
      body: await request.clone().text(),
    });
    return answers(request);
  });
  return { calls, module: await import("./session") };
}

beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
});

describe("the session", () => {
  it("sends the token and refreshes once for any number of requests that got 401", async () => {
    let refreshes = 0;
    const { module, calls } = await fresh((request) => {
      if (request.url.endsWith("/refresh")) {
        refreshes += 1;
        return json(session("new"));
      }
      return json({}, request.headers.get("Authorization") === "Bearer new" ? 200 : 401);
    });
    module.begin(session("old"));
    const answers = await Promise.all([get(), get(), get()].map(module.authorizedFetch));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(refreshes).toBe(1);
    expect(calls.filter(({ token }) => token === "Bearer old")).toHaveLength(3);
  });

  it("gives up after one retry instead of looping", async () => {
    const { module, calls } = await fresh((request) =>
      request.url.endsWith("/refresh") ? json(session("new")) : json({}, 401),
    );
    module.begin(session("old"));
    expect((await module.authorizedFetch(get())).status).toBe(401);
    expect(calls).toHaveLength(3);
  });

  it("is over when the refresh is refused, and everyone who listens hears of it", async () => {
    const { module } = await fresh(() => json({}, 401));
    module.begin(session("old"));
    const heard = vi.fn();
    module.onSessionChange(heard);
    await module.authorizedFetch(get());
    expect(module.currentSession().status).toBe("anonymous");
    expect(heard).toHaveBeenCalled();
  });

  it("survives an unavailable server: nobody is logged out by a 503", async () => {
    const { module } = await fresh(() => json({}, 503));
    module.begin(session("old"));
    await expect(module.refresh()).rejects.toThrow("could not process");
    expect(module.currentSession().status).toBe("known");
  });

  it("comes back to this tab's organization, or to any when it was left", async () => {
    sessionStorage.setItem("drover.org", "o2");
    localStorage.setItem("drover.remembered", "yes");
    const { module, calls } = await fresh(async (request) =>
      (await request.clone().text()).includes("o2") ? json({}, 404) : json(session("t", "o1")),
    );
    await module.resume();
    expect(calls.map(({ body }) => body)).toEqual(['{"org":"o2"}', "{}"]);
    expect(module.currentSession()).toMatchObject({
      status: "known",
      session: { organization: { id: "o1" } },
    });
  });

  it("asks nothing when there was never a session here, and stores no token", async () => {
    const { module, calls } = await fresh(() => json({}, 500));
    await module.resume();
    expect(calls).toHaveLength(0);
    module.begin(session("very-secret"));
    expect(JSON.stringify([{ ...localStorage }, { ...sessionStorage }])).not.toContain("very-secret");
  });
});
