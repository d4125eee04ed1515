import { useEffect, useMemo, useState } from "react";

/**
 * Returns the secret after `#` in the URL of a mailed link, and removes it from the URL and the history. A second link
 * that is pasted into the tab changes only the part after `#`, so the browser does not load the page again.
 */
export function useLinkSecret(): string {
  const [secret, setSecret] = useState(readHash);
  // Not while rendering: the router renders the page again when the address changes.
  useEffect(() => {
    function takeSecret() {
      if (!readHash()) return;
      setSecret(readHash());
      history.replaceState(history.state, "", globalThis.location.pathname + globalThis.location.search);
    }
    takeSecret();
    addEventListener("hashchange", takeSecret);
    return () => removeEventListener("hashchange", takeSecret);
  }, []);
  return secret;
}

function readHash(): string {
  return globalThis.location.hash.slice(1);
}

/** Returns the parameters after `#` that a log-in through a provider adds to the URL, and removes them from it. */
export function useHashParameters(): URLSearchParams {
  const hash = useLinkSecret();
  return useMemo(() => new URLSearchParams(hash), [hash]);
}
