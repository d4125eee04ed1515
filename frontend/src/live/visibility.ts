import { useSyncExternalStore } from "react";

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
