import { Link } from "@tanstack/react-router";
import { buttonClasses } from "@/components/button";
import { PageHeader } from "@/components/page";
import { useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";

/** The first page of an organization that has no pipelines. */
export function GuidedStart() {
  const readOnlyReason = useReadOnlyReason();
  const canEdit = useHasPermissionSomewhere("pipelines.edit") && readOnlyReason === null;
  return (
    <div className="mx-auto max-w-4xl px-4 py-5 md:px-6">
      <PageHeader title="Load your first data" />
      {canEdit ? (
        <div className="flex flex-wrap gap-2">
          <Link to="/pipelines/new" className={buttonClasses("primary")}>
            Try sample data
          </Link>
          <Link to="/pipelines/new" className={buttonClasses()}>
            Connect your own source
          </Link>
        </div>
      ) : (
        <p className="text-soft">
          {readOnlyReason ??
            "There are no pipelines yet. Your role is read-only: ask a member of the organization to create one."}
        </p>
      )}
    </div>
  );
}
