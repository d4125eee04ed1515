import createClient from "openapi-fetch";
import type { paths } from "./schema";
import { ProblemError } from "./problem";
import { authorizedFetch } from "./session";

/** A typed client of the API. Use it with `unwrap`: `unwrap(api.GET("/api/v1/runs", {...}))`. */
export const api = createClient<paths>({ baseUrl: globalThis.location?.origin, fetch: authorizedFetch });

interface ApiResult<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Returns the body of a successful response. Throws a `ProblemError` for any other response. */
export async function unwrap<T>(call: Promise<ApiResult<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw new ProblemError(response.status, error, response.headers);
  return data as T;
}

/** An object with its ETag. A change that sends the ETag in `If-Match` is refused if the object has changed since. */
export type Versioned<T> = T & { etag: string };

/** Like `unwrap`, with the ETag of the response. */
export async function unwrapVersioned<T extends object>(call: Promise<ApiResult<T>>): Promise<Versioned<T>> {
  const { response } = await call;
  const data = await unwrap(call);
  // A proxy that compresses the response marks its ETag as weak.
  return { ...data, etag: (response.headers.get("ETag") ?? "").replace(/^W\//, "") };
}

/** Settings of which there is at most one. `value` is null if there are none; the ETag then says so. */
export interface Optional<T> {
  value: T | null;
  etag: string;
}

/** Like `unwrapVersioned`, for a response that is empty if there is no object. */
export async function unwrapOptional<T extends object>(call: Promise<ApiResult<T>>): Promise<Optional<T>> {
  const { etag, ...value } = await unwrapVersioned<T>(call);
  return { value: (await call).response.status === 204 ? null : (value as unknown as T), etag };
}

/** Returns a new Idempotency-Key. Create one for each user action, so that a repeated request takes effect once. */
export function newIdempotencyKey(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  // Browsers provide randomUUID only on https and localhost.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
