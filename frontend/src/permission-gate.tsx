import { Link, type AsyncRouteComponent } from "@tanstack/react-router";
import type { Permission } from "@/api/types";
import { PageHeader } from "@/components/page";
import { useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";

interface Gate {
  /** The permission without which every form of the page would fail. */
  permission: Permission;
  title: string;
  /** What the permission allows, such as "create pipelines". */
  action: string;
  /** Whether the page is useless while nothing can be changed in the organization. */
  edits?: boolean;
  /** Whether the page is one of the settings, which have a heading above their tabs. */
  isSetting?: boolean;
}

type Page = AsyncRouteComponent<unknown>;

/** The page for users with the permission. For others it says which permission they need, also if they follow a link. */
export function withPermission(
  { permission, title, action, edits = false, isSetting = false }: Gate,
  page: Page,
): Page {
  const PageContent = page;
  function GatedPage() {
    const isPermitted = useHasPermissionSomewhere(permission);
    const readOnlyReason = useReadOnlyReason();
    if (isPermitted && !(edits && readOnlyReason)) return <PageContent />;
    const reason = (
      <p className="text-soft">
        {isPermitted
          ? `${readOnlyReason} Nothing can be changed now.`
          : `You need the permission to ${action}. Ask an admin of your organization for it.`}{" "}
        <Link to="/pipelines" className="link">
          Go to pipelines
        </Link>
      </p>
    );
    if (isSetting)
      return (
        <section aria-label={title} className="card p-5">
          <h2 className="mb-2 text-base font-semibold">{title}</h2>
          {reason}
        </section>
      );
    return (
      <div className="mx-auto max-w-4xl px-4 py-5 md:px-6">
        <PageHeader title={title} />
        {reason}
      </div>
    );
  }
  GatedPage.preload = page.preload;
  return GatedPage;
}
