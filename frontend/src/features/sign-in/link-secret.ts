import { useState } from "react";

/** Returns the secret after `#` in the URL of a mailed link, and removes it from the URL and the history. */
export function useLinkSecret(): string {
  const [secret] = useState(() => globalThis.location.hash.slice(1));
  if (globalThis.location.hash) history.replaceState(history.state, "", globalThis.location.pathname);
  return secret;
}

/** Returns the parameters after `#` that a log-in through a provider adds to the URL, and removes them from it. */
export function takeHashParameters(): URLSearchParams {
  const parameters = new URLSearchParams(globalThis.location.hash.slice(1));
  if (globalThis.location.hash) {
    history.replaceState(history.state, "", globalThis.location.pathname + globalThis.location.search);
  }
  return parameters;
}
