import { useSyncExternalStore } from "react";
import { currentSession, onSessionChange } from "@/api/session";
import type { Session } from "@/api/types";

/** The session of a logged-in page; the router lets nobody else in. */
export function useSession(): Session | null {
  const state = useSyncExternalStore(onSessionChange, currentSession);
  return state.status === "known" ? state.session : null;
}

/** Whether to offer what changes things. The server decides again on every request. */
export function useMayEdit(): boolean {
  const role = useSession()?.organization.role;
  return role !== undefined && role !== "viewer";
}
