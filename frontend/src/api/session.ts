import type { Session } from "./types";
import { OfflineError, ProblemError } from "./problem";
import { noticeRelease } from "./release";

/**
 * The log-in state of this tab. The access token is stored only in this module's memory. The HttpOnly refresh
 * cookie survives a reload, and scripts cannot read it.
 */
type SessionState =
  | { status: "unknown" }
  | { status: "anonymous"; hasLoggedOut: boolean }
  | { status: "logged-in"; session: Session }
  // The server has ended the session while a page was open. The page stays as it is until the user logs in again.
  | { status: "expired"; session: Session };

const ORG_KEY = "drover.org"; // stores an id, so that each tab resumes in its own organization
const HINT_KEY = "drover.remembered"; // set if there may be a refresh cookie; contains no user data
const REFRESH_MARGIN = 20_000; // milliseconds before the token's expiry at which it is refreshed
const REFUSAL_INTERVAL = 30_000; // milliseconds between two refreshes because of refused requests

let state: SessionState = { status: "unknown" };
let access: { token: string; expiresAt: number } | null = null;
let pendingRefresh: Promise<boolean> | null = null;
let refusedAt = -Infinity;
const listeners = new Set<() => void>();
const otherTabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("drover-session") : null;
otherTabs?.addEventListener("message", () => clearSession({ hasLoggedOut: true }));

export function currentSession(): SessionState {
  return state;
}

/** The session to which the open page belongs, also if the user has to log in again to go on. */
export function openSession(): Session | null {
  return "session" in state ? state.session : null;
}

export function onSessionChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Store the session that the server returned. */
export function startSession(session: Session): void {
  access = { token: session.access, expiresAt: Date.now() + session.expires_in * 1000 };
  rememberOrganization(session.organization?.id ?? null);
  localStorage.setItem(HINT_KEY, "yes");
  setState({ status: "logged-in", session });
}

/** End the session in this tab and in all other tabs, which share the cookie. */
export function endSession(): void {
  otherTabs?.postMessage("ended");
  clearSession({ hasLoggedOut: true });
}

function clearSession({ hasLoggedOut = false } = {}): void {
  access = null;
  rememberOrganization(null);
  localStorage.removeItem(HINT_KEY);
  setState({ status: "anonymous", hasLoggedOut });
}

/** Store the organization that this tab requests at the next refresh; null for any organization. */
export function rememberOrganization(id: string | null): void {
  if (id) sessionStorage.setItem(ORG_KEY, id);
  else sessionStorage.removeItem(ORG_KEY);
}

/** Keep the open page of a session that has ended, so that nothing is lost that the user has typed. */
function expireSession(): void {
  access = null;
  if ("session" in state) setState({ status: "expired", session: state.session });
  else clearSession();
}

/** Restore the session when a page is opened. Sends no request if this browser has no session. */
export async function resumeSession(): Promise<void> {
  if (localStorage.getItem(HINT_KEY)) await refreshSession();
  else clearSession();
}

function setState(next: SessionState): void {
  state = next;
  listeners.forEach((listener) => listener());
}

/**
 * Request a new access token with the refresh cookie. All tabs together send only one request at a time, because each
 * request replaces the cookie, and the server ends the session if a cookie is used more than 10 seconds after that.
 * Returns false if the user is not logged in. Throws if the server is unavailable.
 */
export function refreshSession(): Promise<boolean> {
  pendingRefresh ??= withLock(refreshOnce).finally(() => {
    pendingRefresh = null;
  });
  return pendingRefresh;
}

async function withLock(task: () => Promise<boolean>): Promise<boolean> {
  // Browsers provide Web Locks only on https and localhost. Elsewhere two tabs may send the same cookie.
  if (!("locks" in navigator)) return task();
  return navigator.locks.request("drover-refresh", task);
}

async function refreshOnce(): Promise<boolean> {
  // All tabs share the cookie, but each tab may use another organization.
  const org = sessionStorage.getItem(ORG_KEY);
  const accessBefore = access;
  const response = await post("/api/v1/auth/refresh", org ? { org } : {});
  if (response.ok) {
    startSession((await response.json()) as Session);
    return true;
  }
  if (response.status === 404 && org) {
    rememberOrganization(null); // not a member any more, so request any organization
    return refreshOnce();
  }
  if (response.status === 401) {
    if (access !== accessBefore) return access !== null; // the user has logged in again meanwhile
    expireSession();
    return false;
  }
  if (response.status === 403) {
    clearSession();
    return false;
  }
  throw new ProblemError(response.status, await readBody(response), response.headers);
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

async function readBody(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

/** Returns a valid access token, or null if nobody is logged in. Refreshes a token that expires soon. */
export async function accessToken(): Promise<string | null> {
  if (access && access.expiresAt - Date.now() > REFRESH_MARGIN) return access.token;
  if (state.status === "anonymous" || state.status === "expired") return null;
  await (state.status === "unknown" ? resumeSession() : refreshSession());
  return access ? (access as { token: string }).token : null;
}

/**
 * `fetch` with the bearer token. After a 401 it refreshes the token and sends the request once more. While the user has to
 * log in again, it sends nothing and returns 401.
 */
export async function authorizedFetch(request: Request): Promise<Response> {
  const secondRequest = request.clone();
  const token = await accessToken();
  if (state.status === "expired") return new Response(null, { status: 401 });
  const response = await send(request, token);
  if (response.status === 403) refreshPermissions();
  if (response.status !== 401) return response;
  if (!(await refreshSession())) return response;
  return send(secondRequest, access?.token ?? null);
}

/** Get the permissions anew: the page has offered something that the user may not do any more. */
function refreshPermissions(): void {
  if (state.status !== "logged-in" || Date.now() - refusedAt < REFUSAL_INTERVAL) return;
  refusedAt = Date.now();
  refreshSession().catch(() => undefined); // the next refresh gets them
}

/** `fetch` without a token, for requests before the log-in. */
export function plainFetch(request: Request): Promise<Response> {
  return send(request, null);
}

async function send(request: Request, token: string | null): Promise<Response> {
  request.headers.set("X-Requested-With", "drover");
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  try {
    const response = await fetch(request);
    noticeRelease(response.headers.get("X-Drover-Release"));
    return response;
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new OfflineError();
  }
}
