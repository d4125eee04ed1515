import { useMemo } from "react";
import { openSession } from "@/api/session";

/** What this tab keeps of a form that was not sent yet, for one user in one organization. It must have no secrets. */
export interface Kept<Value> {
  read: () => Value | null;
  write: (value: Value) => void;
  forget: () => void;
}

const PREFIX = "drover.kept.";

/** Keeps a value under this name, so that it outlasts a reload, another page and the end of the session, but no log-out. */
export function useKept<Value>(name: string): Kept<Value> {
  const session = openSession();
  const owner = session && `${session.user.id}/${session.organization?.id ?? ""}`;
  return useMemo(() => {
    const key = PREFIX + name;
    return {
      read: () => readOf<Value>(key, owner),
      // A form is still open for a moment after a log-out.
      write: (value) => {
        if (owner !== null) sessionStorage.setItem(key, JSON.stringify({ owner, value }));
      },
      forget: () => sessionStorage.removeItem(key),
    };
  }, [name, owner]);
}

/** Forgets all that is kept, because the user has logged out and somebody else may use this browser. */
export function forgetKept(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

function readOf<Value>(key: string, owner: string | null): Value | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "null") as { owner: string; value?: Value } | null;
    return kept !== null && kept.owner === owner ? (kept.value ?? null) : null;
  } catch {
    return null;
  }
}
