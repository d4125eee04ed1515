import { useState } from "react";
import type { Session } from "@/api/types";
import { Button } from "@/components/button";
import { useSession } from "@/session/use-session";

type Organization = NonNullable<Session["organization"]>;

/** Says above every page that the user may do less than before, because somebody has changed the role meanwhile. */
export function RoleNotice() {
  const organization = useSession()?.organization ?? null;
  const [seen, setSeen] = useState(organization);
  const [isShown, setIsShown] = useState(false);
  if (seen !== organization) {
    setSeen(organization);
    if (seen?.id !== organization?.id) setIsShown(false);
    else if (seen && organization && hasLost(seen, organization)) setIsShown(true);
  }
  if (!isShown || !organization) return null;
  return (
    <div
      role="status"
      className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-wait-wash px-4 py-1.5 text-wait md:px-6"
    >
      <span className="min-w-0 wrap-anywhere">
        Your permissions in {organization.name} were changed: you are {withArticle(organization.role)} now.
        The page offers what you may still do.
      </span>
      <Button size="small" onClick={() => setIsShown(false)}>
        Dismiss
      </Button>
    </div>
  );
}

/** Whether any permission is gone, in the organization or in one of its domains. */
function hasLost(before: Organization, after: Organization): boolean {
  const granted = new Set(scopedPermissions(after));
  return scopedPermissions(before).some((permission) => !granted.has(permission));
}

function scopedPermissions({ permissions, domains }: Organization): string[] {
  return [
    ...permissions,
    ...domains.flatMap((domain) => domain.permissions.map((each) => `${domain.id} ${each}`)),
  ];
}

function withArticle(role: string): string {
  return `${/^[aeiou]/.test(role) ? "an" : "a"} ${role}`;
}
