import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { queryKeys } from "@/api/query-keys";
import type { DataFile, FileUser } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { LoadErrorPage } from "@/components/error-pages";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { Hint } from "@/components/hint";
import { PlusIcon } from "@/components/icons";
import { EmptyState, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { SortHeader } from "@/components/sort-header";
import { showSuccess } from "@/components/toast";
import { CopyId } from "@/components/item-id";
import { Name } from "@/components/name";
import { ChooseFiles } from "@/components/uploads/choose-files";
import { limitsQuery } from "@/components/uploads/queries";
import { UploadList } from "@/components/uploads/upload-list";
import { onUploadComplete, startUploads } from "@/components/uploads/uploads";
import { formatBytes, formatCount } from "@/format/number";
import { useCanCreatePipelines, useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { DropZone } from "./drop-zone";
import { parseFileFilter, type FileOrder } from "./filter";
import { filesQuery, useDeleteFile } from "./queries";

export function FilesPage() {
  // The router also passes parameters on that the page does not know.
  const filter = useSearch({ from: "/app/files", select: parseFileFilter });
  const navigate = useNavigate({ from: "/files" });
  const hasPermission = useHasPermission();
  const isReadOnly = useReadOnlyReason() !== null;
  const canEdit = hasPermission("connectors.edit") && !isReadOnly;
  const canCreatePipelines = useCanCreatePipelines();
  const { data, error, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(filesQuery(filter));
  const rows = data?.pages.flatMap(({ results }) => results) ?? [];
  const clear = () => void navigate({ search: { order: filter.order } });
  useRefreshAfterUploads();
  return (
    <div className="mx-auto max-w-[80rem] px-4 py-5 md:px-6">
      <PageHeader title="Files" count={data?.pages[0]?.count}>
        {canCreatePipelines && (
          <Link to="/pipelines/new" className={buttonClasses()}>
            <PlusIcon /> New pipeline
          </Link>
        )}
      </PageHeader>
      {canEdit && <DropZone hint={<UploadHint />} />}
      <UploadList />
      <FilterBar
        items="files"
        filter={{ q: filter.q }}
        onSearch={(q, replace) => void navigate({ search: { ...filter, q }, replace })}
        onClear={clear}
      />
      {error && !data && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data && rows.length === 0 && <NoFiles canEdit={canEdit} clear={filter.q ? clear : null} />}
      {rows.length > 0 && <FilesTable rows={rows} canEdit={canEdit} order={filter.order} />}
      {hasNextPage && (
        <Button className="mt-4" onClick={() => void fetchNextPage()}>
          Load more
        </Button>
      )}
    </div>
  );
}

function useRefreshAfterUploads(): void {
  const client = useQueryClient();
  useEffect(
    () => onUploadComplete(() => void client.invalidateQueries({ queryKey: queryKeys.files.all })),
    [client],
  );
}

function UploadHint() {
  const { data: limits } = useQuery(limitsQuery);
  if (!limits) return <>&nbsp;</>;
  const { max_file_bytes, max_bytes, used_bytes } = limits;
  return `CSV, JSON, Excel or Parquet, also packed. Up to ${formatBytes(max_file_bytes)} per file. ${formatBytes(used_bytes)} of ${formatBytes(max_bytes)} used.`;
}

/** `clear` removes the search, if there is one. */
function NoFiles({ canEdit, clear }: { canEdit: boolean; clear: (() => void) | null }) {
  if (clear) return <NoMatch items="files" onClear={clear} />;
  return (
    <EmptyState title="No files yet">
      {canEdit
        ? "Upload CSV, JSON, Excel or Parquet files. Then create a pipeline with the source Files, and name one file, or a pattern such as orders-*.csv for several files with the same columns. When the data changes, replace the file: the next run reads the new content."
        : "Members can upload CSV, JSON, Excel or Parquet files here, and load them with the source Files."}
    </EmptyState>
  );
}

interface TableProps {
  rows: DataFile[];
  canEdit: boolean;
  order: FileOrder | undefined;
}

function FilesTable({ rows, canEdit, order }: TableProps) {
  const navigate = useNavigate({ from: "/files" });
  const sorting = {
    chosen: order,
    standard: "newest" as const,
    onSort: (next: FileOrder | "newest" | undefined) =>
      void navigate({ search: (current) => parseFileFilter({ ...current, order: next }) }),
  };
  const [deleted, setDeleted] = useState<DataFile | null>(null);
  return (
    <div className="card overflow-x-auto">
      <DeletionDialog file={deleted} onClose={() => setDeleted(null)} />
      <table className="table w-full border-collapse">
        <thead>
          <tr>
            <SortHeader label="Name" order="name" {...sorting} />
            <SortHeader
              label="Size"
              order="size"
              direction="descending"
              className="text-right!"
              {...sorting}
            />
            <th scope="col" className="max-sm:hidden">
              Used by
            </th>
            <SortHeader
              label="Uploaded"
              order="newest"
              direction="descending"
              className="max-sm:hidden"
              {...sorting}
            />
            {canEdit && (
              <th scope="col">
                <span className="sr-only">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((file) => (
            <tr key={file.id}>
              <td className="wrap-anywhere">
                <Name className="font-medium">{file.name}</Name>
                <CopyId id={file.id} path={`/files?q=${encodeURIComponent(file.name)}`} />
                <div className="text-[0.8125rem] sm:hidden">
                  <UsedBy users={file.used_by} />
                </div>
              </td>
              <td
                className="text-right whitespace-nowrap tabular-nums"
                title={`${formatCount(file.bytes)} bytes`}
              >
                {formatBytes(file.bytes)}
              </td>
              <td className="max-sm:hidden">
                <UsedBy users={file.used_by} />
              </td>
              <td className="text-soft max-sm:hidden">
                <RelativeTime time={file.updated_at} />
                {file.uploaded_by && (
                  <span className="text-faint">
                    {" "}
                    by <Name>{file.uploaded_by}</Name>
                  </span>
                )}
              </td>
              {canEdit && (
                <td className="w-0">
                  <FileActions file={file} onDelete={() => setDeleted(file)} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const MAX_SHOWN_USERS = 3;

function UsedBy({ users }: { users: FileUser[] }) {
  if (users.length === 0) return <span className="text-faint">Not used yet</span>;
  const hidden = users.slice(MAX_SHOWN_USERS);
  return (
    <ul>
      {users.slice(0, MAX_SHOWN_USERS).map((user) => (
        <li key={user.id}>
          {user.type === "pipeline" ? (
            <Link to="/pipelines/$pipelineId" params={{ pipelineId: user.id }} className="hover:underline">
              <Name>{user.name}</Name>
            </Link>
          ) : (
            <Name>{user.name}</Name>
          )}
          <span className="text-faint">
            {" "}
            {user.type}
            {user.by_pattern && ", by a pattern"}
          </span>
        </li>
      ))}
      {hidden.length > 0 && (
        <li className="text-faint" title={hidden.map(({ name }) => name).join(", ")}>
          and {hidden.length} more
        </li>
      )}
    </ul>
  );
}

function FileActions({ file, onDelete }: { file: DataFile; onDelete: () => void }) {
  const blocker = blockingReason(file);
  return (
    <div className="flex justify-end gap-2 max-sm:flex-col max-sm:items-end">
      <ChooseFiles
        size="small"
        label={
          <>
            Replace<span className="sr-only"> {file.name}</span>
          </>
        }
        onChoose={(files) => startUploads(files, file)}
      />
      <Hint text={blocker}>
        <Button size="small" look="danger" disabledReason={blocker} onClick={onDelete}>
          Delete<span className="sr-only"> {file.name}</span>
        </Button>
      </Hint>
    </div>
  );
}

function DeletionDialog({ file, onClose }: { file: DataFile | null; onClose: () => void }) {
  const deletion = useDeleteFile((name) => showSuccess(`${name} was deleted.`));
  return (
    <DestroyDialog
      target={file}
      nameOf={({ name }) => name}
      verb="Delete"
      destruction={deletion}
      onClose={onClose}
    >
      {file && deletionText(file)}
    </DestroyDialog>
  );
}

/** Why the file cannot be deleted, or null. Connectors that read it by a pattern do not prevent that. */
function blockingReason({ used_by }: DataFile): string | null {
  const readers = used_by.filter(({ by_pattern }) => !by_pattern);
  if (readers.length === 0) return null;
  return `In use by ${labelsOf(readers)}: change or delete them first.`;
}

function deletionText({ used_by }: DataFile): string {
  if (used_by.length === 0) return "Nothing uses this file. It cannot be restored.";
  return `It cannot be restored. The next runs with ${labelsOf(used_by)} no longer contain its records.`;
}

function labelsOf(users: FileUser[]): string {
  return users.map(({ type, name }) => `the ${type} ${name}`).join(", ");
}
