import { PageHeader } from "@/components/page";
import { StartChoices } from "@/components/start/start-choices";
import { useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";

/** The first page of an organization that has no pipelines. */
export function GuidedStart() {
  const readOnlyReason = useReadOnlyReason();
  const canEdit = useHasPermissionSomewhere("pipelines.edit") && readOnlyReason === null;
  return (
    <div className="mx-auto max-w-4xl px-4 py-5 md:px-6">
      <PageHeader title="Load your first data" />
      {canEdit ? (
        <>
          <p className="mb-4 text-soft">
            A pipeline copies records from a source to a destination. Begin with sample data, or connect your
            own source.
          </p>
          <StartChoices />
        </>
      ) : (
        <p className="text-soft">
          {readOnlyReason ??
            "There are no pipelines yet. Your role is read-only: ask a member of the organization to create one."}
        </p>
      )}
    </div>
  );
}
