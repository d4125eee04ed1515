import { useSyncExternalStore } from "react";
import { currentSession, onSessionChange } from "@/api/session";
import type { Permission, Session } from "@/api/types";

/** The session of a logged-in page; the router lets nobody else in. */
export function useSession(): Session | null {
  const state = useSyncExternalStore(onSessionChange, currentSession);
  return state.status === "known" ? state.session : null;
}

/** Whether to offer an action. The server decides again on every request. */
export function useMay(permission: Permission): boolean {
  return useSession()?.organization.permissions.includes(permission) ?? false;
}
