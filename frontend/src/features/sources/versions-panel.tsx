import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Versioned } from "@/api/client";
import type { CustomSource, SourceVersionRow } from "@/api/types";
import { Button } from "@/components/button";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { showError } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { DiffView } from "@/components/diff-view";
import { Hosts } from "./hosts";
import { diffQuery, useChangeVersion, versionsQuery } from "./queries";

/** The newest versions, each with its changes, its approval, and buttons to approve or restore it. */
export function VersionsPanel({ source, canEdit }: { source: Versioned<CustomSource>; canEdit: boolean }) {
  const { data, error, refetch } = useQuery(versionsQuery(source.id));
  const [openVersion, setOpenVersion] = useState<number | null>(null);
  if (error) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (!data) return <Skeletons rows={3} />;
  return (
    <ol className="grid gap-3">
      {data.results.map((version) => (
        <li key={version.number} className="rounded-card border border-line p-3">
          <Version
            source={source}
            version={version}
            canEdit={canEdit}
            open={openVersion === version.number}
            onToggle={() => setOpenVersion(openVersion === version.number ? null : version.number)}
          />
        </li>
      ))}
    </ol>
  );
}

function Version({
  source,
  version,
  canEdit,
  open,
  onToggle,
}: {
  source: Versioned<CustomSource>;
  version: SourceVersionRow;
  canEdit: boolean;
  open: boolean;
  onToggle: () => void;
}) {
  const approve = useChangeVersion(source, "approve");
  const restore = useChangeVersion(source, "restore");
  const { number } = version;
  const isUsed = source.approved_version === number;
  return (
    <>
      <div className="flex flex-wrap items-baseline gap-x-2 gap-y-1">
        <h3 className="font-medium">Version {number}</h3>
        {isUsed && <span className="rounded-control bg-good-wash px-1.5 text-good">used by pipelines</span>}
        {!version.approved_at && (
          <span className="rounded-control bg-wait-wash px-1.5 text-wait">not approved</span>
        )}
        <span className="ml-auto text-faint">
          <RelativeTime time={version.created_at} />
        </span>
      </div>
      <p className="text-soft">
        {[version.note, version.author || version.created_by?.name, version.commit.slice(0, 8)]
          .filter(Boolean)
          .join(" · ")}
      </p>
      {version.approved_at && (
        <p className="text-faint">
          Approved by {version.approved_by?.name ?? "a former member"}{" "}
          <RelativeTime time={version.approved_at} />
        </p>
      )}
      <div className="mt-2 flex flex-wrap gap-2">
        <Button size="small" aria-expanded={open} onClick={onToggle}>
          {number === 1 ? "Code" : "Changes"}
          <span className="sr-only"> in version {number}</span>
        </Button>
        {canEdit && !isUsed && (
          <Button
            size="small"
            disabledReason={approve.isPending ? "Approving" : null}
            onClick={() => approve.mutate(number, { onError: (error) => showError(error) })}
          >
            Approve<span className="sr-only"> version {number}</span>
          </Button>
        )}
        {canEdit && source.repository_id === null && number !== source.latest_version && (
          <Button
            size="small"
            disabledReason={restore.isPending ? "Restoring" : null}
            onClick={() => restore.mutate(number, { onError: (error) => showError(error) })}
          >
            Restore<span className="sr-only"> version {number}</span>
          </Button>
        )}
      </div>
      {open && <Changes id={source.id} number={number} hosts={version.hosts} />}
    </>
  );
}

function Changes({ id, number, hosts }: { id: string; number: number; hosts: string[] }) {
  const { data, error } = useQuery(diffQuery(id, number));
  if (error) return <ErrorNotice error={error} />;
  if (!data) return <Skeletons rows={3} />;
  return (
    <div className="mt-3 grid gap-3">
      <div>
        <h4 className="mb-1 font-medium">Allowed hosts</h4>
        <Hosts hosts={hosts} />
        {data.hosts_added.length > 0 && number > 1 && (
          <p className="mt-1 text-wait">Added: {data.hosts_added.join(", ")}</p>
        )}
        {data.hosts_removed.length > 0 && (
          <p className="mt-1 text-soft">Removed: {data.hosts_removed.join(", ")}</p>
        )}
      </div>
      {data.diff === null ? (
        <p className="text-wait">
          This version or the previous one is too long to compare. Read the code before you approve it.
        </p>
      ) : (
        <DiffView label={`Changes of version ${number}`} diff={data.diff} />
      )}
    </div>
  );
}
