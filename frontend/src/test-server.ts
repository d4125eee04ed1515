/** Answers the requests of tests by the API's types: a path, a status or a body that the API does not have is a type error. */
import { http as untyped, HttpResponse } from "msw";
import { setupServer } from "msw/node";
import { createOpenApiHttp } from "openapi-msw";
import { afterAll, afterEach, beforeAll, beforeEach, vi } from "vitest";
import type { components, paths } from "./api/schema";
import { startSession } from "./api/session";
import type { Permission, Session } from "./api/types";

/** Describes an answer: `http.get("/api/v1/runs", ({ response }) => response(200).json({...}))`. */
export const http = createOpenApiHttp<paths>({ baseUrl: globalThis.location?.origin });

/** Answers whatever no other answer is for with an empty list, for tests of pages that show more than the test is about. */
export const EMPTY_LISTS = untyped.get("*/api/v1/*", () =>
  HttpResponse.json({ results: [], next: null, previous: null, count: 0 }),
);

/** The stream of changes ends at once, so that it does not stay open after a test. */
const noEvents = untyped.get("*/api/v1/events", () => new HttpResponse(null, { status: 404 }));

/**
 * Starts the server for the tests of this file. Each test begins with these answers, and may add its own by `server.use`.
 * A request without an answer fails, as if the server were away.
 */
export function startServer(...answers: Parameters<typeof setupServer>) {
  const server = setupServer(noEvents, ...answers);
  beforeAll(() => {
    vi.unstubAllGlobals(); // Another file may have left its own `fetch`. Removing it later would remove the server's.
    server.listen({ onUnhandledRequest: "error" });
  });
  // Without a session, what another file has left in the browser's storage would decide whether one is requested.
  beforeEach(() => logIn([]));
  afterEach(() => server.resetHandlers());
  afterAll(() => server.close());
  return server;
}

export interface SentRequest {
  method: string;
  url: URL;
  headers: Headers;
  /** The JSON of the request, or null. */
  body: unknown;
}

/** The requests that the server has got during a test, in their order. */
export function noteRequests(server: ReturnType<typeof startServer>): SentRequest[] {
  const sent: SentRequest[] = [];
  beforeEach(() => void sent.splice(0));
  server.events.on("request:start", async ({ request }) => {
    const { method, url, headers } = request;
    const noted: SentRequest = { method, url: new URL(url), headers, body: null };
    sent.push(noted);
    const text = await request.clone().text();
    noted.body = text ? JSON.parse(text) : null;
  });
  return sent;
}

type Domain = NonNullable<Session["organization"]>["domains"][number];

/** Begins the session of a member with these permissions, in the organization and in its domains. */
export function logIn(permissions: Permission[], domains: Part<Domain>[] = []) {
  startSession(
    part<Session>({
      access: "token",
      expires_in: 600,
      user: { id: "u1", name: "Ada", email: "ada@example.com", has_password: true },
      organization: { id: "o1", name: "Acme", role: "member", closed: null, permissions, domains },
      version: "1.4.0",
    }),
  );
}

export type Part<T> = T extends (infer Item)[]
  ? Part<Item>[]
  : T extends object
    ? { [Key in keyof T]?: Part<T[Key]> }
    : T;

/** An object of the API with the fields that the test is about. Their names and types are the API's. */
export function part<T>(fields: Part<NoInfer<T>>): T {
  return fields as T;
}

/** The answer with which the server refuses a request. Return it as `response.untyped(refusal(409, {...}))`. */
export function refusal(status: number, problem: Part<components["schemas"]["Problem"]> = {}) {
  return HttpResponse.json({ title: "Refused", detail: "Refused", status, ...problem }, { status });
}
