import { useSyncExternalStore } from "react";

function subscribe(listener: () => void): () => void {
  document.addEventListener("visibilitychange", listener);
  return () => document.removeEventListener("visibilitychange", listener);
}

/**
 * Whether this tab is visible. Streams stop in hidden tabs: a browser opens at most six connections to one
 * HTTP/1 server, and forgotten tabs would use them all.
 */
export function useTabVisible(): boolean {
  return useSyncExternalStore(subscribe, () => !document.hidden);
}
