import { useSyncExternalStore } from "react";
import { currentSession, onSessionChange } from "@/api/session";
import type { Permission, Session } from "@/api/types";

/** The session of a page for which the router requires a log-in. */
export function useSession(): Session | null {
  const state = useSyncExternalStore(onSessionChange, currentSession);
  return state.status === "known" ? state.session : null;
}

type Organization = NonNullable<Session["organization"]>;

/** Whether the person has the permission for an object in this domain, or in no domain. */
export function allows(
  organization: Organization,
  permission: Permission,
  domainId?: string | null,
): boolean {
  const there = organization.domains.find(({ id }) => id === domainId) ?? organization;
  return there.permissions.includes(permission);
}

/** Whether to offer an action on an object of a domain. The server decides again on every request. */
export function useMay(): (permission: Permission, domainId?: string | null) => boolean {
  const organization = useSession()?.organization;
  return (permission, domainId) => !!organization && allows(organization, permission, domainId);
}

/** Why nothing can be changed or run in the organization now; null when it can. */
export function useReadOnly(): string | null {
  const organization = useSession()?.organization;
  if (organization?.suspended_at) return "The organization is suspended.";
  if (organization?.deletion_at) return "The organization is scheduled for deletion.";
  return null;
}

/** Whether to offer an action whose object's domain is not known here. */
export function useMaySomewhere(permission: Permission): boolean {
  const organization = useSession()?.organization;
  if (!organization) return false;
  return [organization, ...organization.domains].some(({ permissions }) => permissions.includes(permission));
}
