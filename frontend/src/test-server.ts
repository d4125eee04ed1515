/** Answers the requests of tests by the API's types: a path, a status or a body that the API does not have is a type error. */
import { setupServer } from "msw/node";
import { createOpenApiHttp } from "openapi-msw";
import { afterAll, afterEach, beforeAll, vi } from "vitest";
import type { paths } from "./api/schema";

/** Describes an answer: `http.get("/api/v1/runs", ({ response }) => response(200).json({...}))`. */
export const http = createOpenApiHttp<paths>({ baseUrl: globalThis.location?.origin });

/**
 * Starts the server for the tests of this file. Each test begins with these answers, and may add its own by `server.use`.
 * A request without an answer fails the test.
 */
export function startServer(...answers: Parameters<typeof setupServer>) {
  const server = setupServer(...answers);
  beforeAll(() => {
    vi.unstubAllGlobals(); // Another file may have left its own `fetch`. Removing it later would remove the server's.
    server.listen({ onUnhandledRequest: "error" });
  });
  afterEach(() => server.resetHandlers());
  afterAll(() => server.close());
  return server;
}
