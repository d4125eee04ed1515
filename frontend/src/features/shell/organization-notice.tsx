import { absoluteTime } from "@/format/time";
import { useSession } from "@/session/use-session";

/** Shown on every page while the organization is suspended or scheduled for deletion. */
export function OrganizationNotice() {
  const organization = useSession()?.organization;
  if (!organization?.suspended_at && !organization?.deletion_at) return null;
  return (
    <p role="status" className="border-b border-line bg-wait-wash px-4 py-2 text-wait md:px-6">
      {organization.suspended_at
        ? `${organization.name} was suspended by an operator of this installation. You can view everything, but not change or run anything.`
        : `${organization.name} will be deleted on ${absoluteTime(organization.deletion_at!)}. Until then you can view everything, but not change or run anything. An owner can restore it under Settings, Organization.`}
    </p>
  );
}
