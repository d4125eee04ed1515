import createClient from "openapi-fetch";
import type { paths } from "./schema";
import { ProblemError } from "./problem";
import { authorizedFetch } from "./session";

/** Typed calls: `answer(api.GET("/api/v1/runs", {...}))`. */
export const api = createClient<paths>({ baseUrl: globalThis.location?.origin, fetch: authorizedFetch });

interface Result<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a good answer; a bad one is thrown as `ProblemError`. */
export async function answer<T>(call: Promise<Result<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw new ProblemError(response.status, error, response.headers.get("Retry-After"));
  return data as T;
}

/** A new value for the Idempotency-Key header: one per action of a person, so that a repeated request acts once. */
export function idempotencyKey(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  // randomUUID exists only on https and localhost
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
