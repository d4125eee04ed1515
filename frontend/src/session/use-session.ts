import { useSyncExternalStore } from "react";
import { onSessionChange, openSession } from "@/api/session";
import type { Permission, Session } from "@/api/types";

/** The session of the open page, or null if nobody is logged in. */
export function useSession(): Session | null {
  return useSyncExternalStore(onSessionChange, openSession);
}

type Organization = NonNullable<Session["organization"]>;

/** Whether the user has the permission for an object in this domain, or outside all domains. */
export function memberHasPermission(
  organization: Organization,
  permission: Permission,
  domainId?: string | null,
): boolean {
  const scope = organization.domains.find(({ id }) => id === domainId) ?? organization;
  return scope.permissions.includes(permission);
}

/** Returns a function that says whether to offer an action on an object. The server checks every request again. */
export function useHasPermission(): (permission: Permission, domainId?: string | null) => boolean {
  const organization = useSession()?.organization;
  return (permission, domainId) => !!organization && memberHasPermission(organization, permission, domainId);
}

/** The reason why nothing can be changed or run in the organization now, or null. */
export function useReadOnlyReason(): string | null {
  const organization = useSession()?.organization;
  if (organization?.suspended_at) return "The organization is suspended.";
  if (organization?.deletion_at) return "The organization is scheduled for deletion.";
  return null;
}

/** Whether to offer a link to the page on which a pipeline is created. */
export function useCanCreatePipelines(): boolean {
  const isEditor = useHasPermissionSomewhere("pipelines.edit");
  return useReadOnlyReason() === null && isEditor;
}

/** Whether the user has the permission in the organization or in any of its domains. */
export function useHasPermissionSomewhere(permission: Permission): boolean {
  return usePermissionsSomewhere().includes(permission);
}

/** The permissions that the user has in the organization or in any of its domains. */
export function usePermissionsSomewhere(): Permission[] {
  const organization = useSession()?.organization;
  if (!organization) return [];
  return [organization, ...organization.domains].flatMap(({ permissions }) => permissions);
}
