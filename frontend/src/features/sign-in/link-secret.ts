import { useState } from "react";

/** The secret of a mailed link stands behind `#`; it is taken out of the address bar and the history. */
export function useLinkSecret(): string {
  const [secret] = useState(() => globalThis.location.hash.slice(1));
  if (globalThis.location.hash) history.replaceState(history.state, "", globalThis.location.pathname);
  return secret;
}

/** The pairs behind `#` that a log-in through a provider leaves. */
export function takeHash(): URLSearchParams {
  const found = new URLSearchParams(globalThis.location.hash.slice(1));
  if (globalThis.location.hash) {
    history.replaceState(history.state, "", globalThis.location.pathname + globalThis.location.search);
  }
  return found;
}
