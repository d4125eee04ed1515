/** Answers the requests of tests by the API's types: a path, a status or a body that the API does not have is a type error. */
import { setupServer } from "msw/node";
import { createOpenApiHttp } from "openapi-msw";
import { afterAll, afterEach, beforeAll, beforeEach, vi } from "vitest";
import type { paths } from "./api/schema";
import { startSession } from "./api/session";
import type { Session } from "./api/types";

/** Describes an answer: `http.get("/api/v1/runs", ({ response }) => response(200).json({...}))`. */
export const http = createOpenApiHttp<paths>({ baseUrl: globalThis.location?.origin });

/**
 * Starts the server for the tests of this file. Each test begins with these answers, and may add its own by `server.use`.
 * A request without an answer fails, as if the server were away.
 */
export function startServer(...answers: Parameters<typeof setupServer>) {
  const server = setupServer(...answers);
  beforeAll(() => {
    vi.unstubAllGlobals(); // Another file may have left its own `fetch`. Removing it later would remove the server's.
    server.listen({ onUnhandledRequest: "error" });
  });
  // Without a session, what another file has left in the browser's storage would decide whether one is requested.
  beforeEach(() =>
    startSession({ access: "token", expires_in: 600, organization: null } as unknown as Session),
  );
  afterEach(() => server.resetHandlers());
  afterAll(() => server.close());
  return server;
}
