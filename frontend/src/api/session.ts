import type { Session } from "./types";
import { OfflineError, ProblemError } from "./problem";

/**
 * Who is logged in. The access token lives in this module's memory and nowhere else; what
 * survives a reload is the HttpOnly refresh cookie, which scripts cannot read.
 */
type SessionState = { status: "unknown" } | { status: "anonymous" } | { status: "known"; session: Session };

const ORG_KEY = "drover.org"; // an id, so that each tab comes back to its own organization
const HINT_KEY = "drover.remembered"; // a hint that there may be a refresh cookie; it does not say whose
const EARLY = 20_000; // refresh this many milliseconds before the token expires

let state: SessionState = { status: "unknown" };
let access: { token: string; expires: number } | null = null;
let refreshing: Promise<boolean> | null = null;
const listeners = new Set<() => void>();
const otherTabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("drover-session") : null;
otherTabs?.addEventListener("message", () => forget());

export function currentSession(): SessionState {
  return state;
}

export function onSessionChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function begin(session: Session): void {
  access = { token: session.access, expires: Date.now() + session.expires_in * 1000 };
  rememberOrganization(session.organization?.id ?? null);
  localStorage.setItem(HINT_KEY, "yes");
  change({ status: "known", session });
}

/** Log out. The other tabs share the cookie, so they are logged out too. */
export function end(): void {
  otherTabs?.postMessage("ended");
  forget();
}

function forget(): void {
  access = null;
  rememberOrganization(null);
  localStorage.removeItem(HINT_KEY);
  change({ status: "anonymous" });
}

/** Which organization this tab asks for next; null when any will do. */
export function rememberOrganization(id: string | null): void {
  if (id) sessionStorage.setItem(ORG_KEY, id);
  else sessionStorage.removeItem(ORG_KEY);
}

/** Ask the server for the session of this browser when a page is opened. Without a hint that there is one, do not ask. */
export async function resume(): Promise<void> {
  if (localStorage.getItem(HINT_KEY)) await refresh();
  else forget();
}

function change(next: SessionState): void {
  state = next;
  listeners.forEach((listener) => listener());
}

/**
 * Ask for a new access token by cookie. One call at a time in this tab, and one at a time over
 * all tabs, because the cookie rotates and a reused one closes the whole session.
 * Returns false when nobody is logged in. Throws when the server did not answer.
 */
export function refresh(): Promise<boolean> {
  refreshing ??= exclusively(refreshOnce).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function exclusively(task: () => Promise<boolean>): Promise<boolean> {
  // Web Locks exist only on https and localhost. Elsewhere the server's leeway of 10 seconds must be enough.
  if (!("locks" in navigator)) return task();
  return navigator.locks.request("drover-refresh", task);
}

async function refreshOnce(): Promise<boolean> {
  // the cookie is shared by all tabs; this one may work in another organization
  const org = sessionStorage.getItem(ORG_KEY);
  const response = await post("/api/v1/auth/refresh", org ? { org } : {});
  if (response.ok) {
    begin((await response.json()) as Session);
    return true;
  }
  if (response.status === 404 && org) {
    rememberOrganization(null); // no longer a member there: any other will do
    return refreshOnce();
  }
  if (response.status === 401 || response.status === 403) {
    forget();
    return false;
  }
  throw new ProblemError(response.status, await bodyOf(response), response.headers.get("Retry-After"));
}

async function post(path: string, body: object): Promise<Response> {
  try {
    return await fetch(path, {
      method: "POST",
      credentials: "same-origin",
      headers: {
        "Content-Type": "application/json",
        "X-Requested-With": "drover",
      },
      body: JSON.stringify(body),
    });
  } catch {
    throw new OfflineError();
  }
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

/** A usable access token, refreshed first when it is about to expire; null when anonymous. */
async function accessToken(): Promise<string | null> {
  if (access && access.expires - Date.now() > EARLY) return access.token;
  if (state.status === "anonymous") return null;
  await (state.status === "unknown" ? resume() : refresh());
  return access ? (access as { token: string }).token : null;
}

/** `fetch` with the bearer token; a 401 refreshes and tries once more. */
export async function authorizedFetch(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await send(request, await accessToken());
  if (response.status !== 401) return response;
  if (!(await refresh())) return response;
  return send(again, access?.token ?? null);
}

/** `fetch` without a credential, for logging in. */
export function plainFetch(request: Request): Promise<Response> {
  return send(request, null);
}

async function send(request: Request, token: string | null): Promise<Response> {
  request.headers.set("X-Requested-With", "drover");
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  try {
    return await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new OfflineError();
  }
}
