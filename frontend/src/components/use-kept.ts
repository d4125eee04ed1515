import { useMemo } from "react";
import { openSession } from "@/api/session";

/** What this tab keeps of a form that was not sent yet, for one user in one organization. It must have no secrets. */
export interface Kept<Value> {
  read: () => Value | null;
  write: (value: Value) => void;
  forget: () => void;
}

/** Keeps a value under this name, so that it outlasts a reload, another page and the end of the session. */
export function useKept<Value>(name: string): Kept<Value> {
  const session = openSession();
  const owner = `${session?.user.id ?? ""}/${session?.organization?.id ?? ""}`;
  return useMemo(() => {
    const key = `drover.${name}`;
    return {
      read: () => readOf<Value>(key, owner),
      write: (value) => sessionStorage.setItem(key, JSON.stringify({ owner, value })),
      forget: () => sessionStorage.removeItem(key),
    };
  }, [name, owner]);
}

function readOf<Value>(key: string, owner: string): Value | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "null") as { owner: string; value?: Value } | null;
    return kept?.owner === owner ? (kept.value ?? null) : null;
  } catch {
    return null;
  }
}
