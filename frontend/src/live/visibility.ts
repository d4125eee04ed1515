import { useSyncExternalStore } from "react";

function subscribe(listener: () => void): () => void {
  document.addEventListener("visibilitychange", listener);
  return () => document.removeEventListener("visibilitychange", listener);
}

/**
 * Whether someone can see this tab. Streams stop in tabs nobody sees: a browser opens at most six
 * connections to one HTTP/1 server, and forgotten tabs would take them all.
 */
export function useTabVisible(): boolean {
  return useSyncExternalStore(subscribe, () => !document.hidden);
}
