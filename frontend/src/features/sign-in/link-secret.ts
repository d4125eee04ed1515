import { useEffect, useMemo, useState } from "react";

/** Returns the secret after `#` in the URL of a mailed link, and removes it from the URL and the history. */
export function useLinkSecret(): string {
  const [hash] = useState(() => globalThis.location.hash.slice(1));
  // Not while rendering: the router renders the page again when the address changes.
  useEffect(() => {
    if (!globalThis.location.hash) return;
    history.replaceState(history.state, "", globalThis.location.pathname + globalThis.location.search);
  }, []);
  return hash;
}

/** Returns the parameters after `#` that a log-in through a provider adds to the URL, and removes them from it. */
export function useHashParameters(): URLSearchParams {
  const hash = useLinkSecret();
  return useMemo(() => new URLSearchParams(hash), [hash]);
}
