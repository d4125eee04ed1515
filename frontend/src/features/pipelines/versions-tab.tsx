import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { Versioned } from "@/api/client";
import type { Pipeline, PipelineStatistics, PipelineVersion, VersionDiff } from "@/api/types";
import { Button } from "@/components/button";
import { ChangeCard } from "@/components/change-card";
import { ConfirmDialog } from "@/components/dialog";
import { WarningIcon } from "@/components/icons";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { isMaskedSecret } from "@/components/schema-form/schema";
import { showError, showSuccess } from "@/components/toast";
import { usePipelinePage } from "./page-context";
import { diffQuery, useRestoreVersion, versionsQuery } from "./queries";
import { beforeFailure } from "./statistics/failure-start";
import { statisticsQuery } from "./statistics/queries";
import { parseVersionSearch } from "./version-search";

type Failing = NonNullable<PipelineStatistics["failing"]>;

const NOTHING: never[] = [];

/** The versions of the configuration, newest first, each with what it has changed. */
export function VersionsTab() {
  const { pipeline, canEdit } = usePipelinePage();
  const query = useInfiniteQuery(versionsQuery(pipeline.id));
  const { data: statistics } = useQuery(statisticsQuery(pipeline.id));
  const { version: linkedNumber = null } = useSearch({
    from: "/app/pipelines/$pipelineId/versions",
    select: parseVersionSearch,
  });
  const [openNumber, setOpenNumber] = useState<number | null>(linkedNumber);
  if (query.error && !query.data) {
    return <ErrorNotice error={query.error} retry={() => void query.refetch()} />;
  }
  if (!query.data) return <Skeletons rows={3} />;
  return (
    <div className="grid max-w-4xl gap-3">
      <p className="text-soft">
        Each change of the source, the destination or the streams creates a version. The next run uses the
        newest one.
      </p>
      <ol className="grid gap-3">
        {query.data.pages
          .flatMap(({ results }) => results)
          .map((version) => (
            <li key={version.number} className="card min-w-0 p-4">
              <Version
                pipeline={pipeline}
                version={version}
                canEdit={canEdit}
                failing={statistics?.failing ?? null}
                isOpen={openNumber === version.number}
                onToggle={() => setOpenNumber(openNumber === version.number ? null : version.number)}
              />
            </li>
          ))}
      </ol>
      {query.hasNextPage && (
        <div className="text-center">
          <Button onClick={() => void query.fetchNextPage()}>Load more</Button>
        </div>
      )}
    </div>
  );
}

interface VersionProps {
  pipeline: Versioned<Pipeline>;
  version: PipelineVersion;
  canEdit: boolean;
  failing: Failing | null;
  isOpen: boolean;
  onToggle: () => void;
}

function Version({ pipeline, version, canEdit, failing, isOpen, onToggle }: VersionProps) {
  const { number, note, created_by, created_at } = version;
  const isCurrent = number === pipeline.version;
  const suspect = failing?.versions.find((each) => each.number === number);
  return (
    <>
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <h2 className="font-medium">Version {number}</h2>
        {isCurrent && <span className="rounded-control bg-good-wash px-1.5 text-good">current</span>}
        <span className="text-soft">
          {created_by?.name ?? "a former member"} · <RelativeTime time={created_at} />
        </span>
        <span className="ml-auto flex gap-2">
          <Button size="small" aria-expanded={isOpen} onClick={onToggle}>
            {number === 1 ? "Settings" : "Changes"}
            <span className="sr-only"> of version {number}</span>
          </Button>
          {canEdit && !isCurrent && <RestoreButton pipeline={pipeline} number={number} />}
        </span>
      </div>
      {note && <p className="mt-1 wrap-anywhere text-soft">{note}</p>}
      {suspect && failing && (
        <p className="mt-1 flex flex-wrap items-center gap-x-1.5 text-bad">
          <WarningIcon />
          Saved {beforeFailure(suspect, failing)}.
          <Link to="/runs/$runId" params={{ runId: failing.first_failure_id }} className="link">
            Open the first failure
          </Link>
        </p>
      )}
      {isOpen && <Changes id={pipeline.id} number={number} />}
    </>
  );
}

function Changes({ id, number }: { id: string; number: number }) {
  const { data, error } = useQuery(diffQuery(id, number));
  if (error) return <ErrorNotice error={error} />;
  if (!data) return <Skeletons rows={3} />;
  if (data.changes.length === 0) return <p className="mt-3 text-soft">Nothing differs.</p>;
  // The first version has no version before it, so all settings of its streams are shown.
  const shown = number === 1 ? data.changes : inGroups(data.changes);
  const changes = shown.map(({ field, before, after, secret, stream }) => ({
    field,
    before: secret ? secretInWords(before) : before,
    after: secret ? secretInWords(after) : after,
    stream,
  }));
  return (
    <div className="mt-3">
      <ChangeCard facts={NOTHING} changes={changes} warnings={NOTHING} />
    </div>
  );
}

type FieldChange = VersionDiff["changes"][number];

/** The changes with the names of the streams that were added or removed, instead of all settings of each. */
function inGroups(changes: FieldChange[]): FieldChange[] {
  const names = changes.filter(({ field }) => /^streams\.\d+\.stream$/.test(field));
  const added = names.filter(({ before }) => before === null).map(({ after }) => after);
  const removed = names.filter(({ after }) => after === null).map(({ before }) => before);
  const grouped = new Set<unknown>([...added, ...removed]);
  return [
    ...(added.length > 0 ? [group("streams.added", null, added)] : []),
    ...(removed.length > 0 ? [group("streams.removed", removed, null)] : []),
    ...changes.filter(({ stream }) => !grouped.has(stream)),
  ];
}

function group(field: string, before: unknown, after: unknown): FieldChange {
  return { field, before, after, secret: false };
}

function secretInWords(value: unknown): unknown {
  if (!isMaskedSecret(value)) return value;
  if (!value.set) return "Not set";
  return value.last4 ? `Set, ends in ${value.last4}` : "Set";
}

function RestoreButton({ pipeline, number }: { pipeline: Versioned<Pipeline>; number: number }) {
  const { configuration } = usePipelinePage();
  const [isAsking, setIsAsking] = useState(false);
  const restore = useRestoreVersion(pipeline.id);
  return (
    <>
      <Button
        size="small"
        disabledReason={restore.isPending ? "Restoring" : null}
        onClick={() => setIsAsking(true)}
      >
        Restore<span className="sr-only"> version {number}</span>
      </Button>
      <ConfirmDialog
        open={isAsking}
        title={`Restore version ${number}?`}
        confirmLabel="Restore"
        onClose={() => setIsAsking(false)}
        onConfirm={() => {
          setIsAsking(false);
          restore.mutate(
            { number, etag: pipeline.etag },
            {
              onSuccess: ({ version }) =>
                showSuccess(`Version ${number} was restored as version ${version}.`),
              onError: (error) => showError(error),
            },
          );
        }}
      >
        Creates a new version with the source, destination, streams and secrets of version {number}. The name,
        the tags and the schedule stay as they are.
        {configuration.changed.length > 0 && " Your changes that are not saved are kept for comparison."}
      </ConfirmDialog>
    </>
  );
}
