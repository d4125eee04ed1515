import { useSyncExternalStore } from "react";
import { currentSession, onSessionChange } from "@/api/session";

function subscribe(listener: () => void): () => void {
  document.addEventListener("visibilitychange", listener);
  return () => document.removeEventListener("visibilitychange", listener);
}

/**
 * Whether this tab is visible. Event streams stop in hidden tabs, because a browser opens at most six connections to one
 * HTTP/1 server, and hidden tabs could use all of them.
 */
export function useTabVisible(): boolean {
  return useSyncExternalStore(subscribe, () => !document.hidden);
}

/** Whether to follow event streams now: the tab is visible, and the user need not log in again first. */
export function useMayFollow(): boolean {
  const isExpired = useSyncExternalStore(onSessionChange, () => currentSession().status === "expired");
  return useTabVisible() && !isExpired;
}
