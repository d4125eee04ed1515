import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { CustomSourceRow } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { PlusIcon } from "@/components/icons";
import { EmptyState, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { SortHeader } from "@/components/sort-header";
import { useHasPermission } from "@/session/use-session";
import { LoadErrorPage } from "@/components/error-pages";
import { Name } from "@/components/name";
import { parseSourceFilter, type SourceOrder } from "./filter";
import { sourcesQuery } from "./queries";
import { useUploadSources } from "./repository-queries";
import { UploadButton, UploadResult } from "./upload-button";

export function SourcesPage() {
  // The router also passes parameters on that the page does not know.
  const filter = useSearch({ from: "/app/sources", select: parseSourceFilter });
  const { order, ...ownFilter } = filter;
  const navigate = useNavigate({ from: "/sources" });
  const canEdit = useHasPermission()("custom_sources.edit");
  const { data, error, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(sourcesQuery(filter));
  const upload = useUploadSources();
  const clear = () => void navigate({ search: { order } });
  const rows = data?.pages.flatMap(({ results }) => results) ?? [];
  return (
    <div className="mx-auto max-w-[80rem] px-4 py-5 md:px-6">
      <PageHeader title="Custom sources" count={data?.pages[0]?.count}>
        <Link to="/sources/repositories" className={buttonClasses()}>
          Git repositories
        </Link>
        {canEdit && <UploadButton upload={upload} />}
        {canEdit && (
          <Link to="/sources/new" className={buttonClasses("primary")}>
            <PlusIcon /> New custom source{" "}
          </Link>
        )}
      </PageHeader>
      <UploadResult upload={upload} />
      <FilterBar
        items="custom sources"
        filter={ownFilter}
        onSearch={(q, replace) => void navigate({ search: { ...filter, q }, replace })}
        onClear={clear}
      >
        <label className="flex items-center gap-2 text-soft">
          <input
            type="checkbox"
            checked={filter.archived ?? false}
            onChange={({ target }) =>
              void navigate({ search: { ...filter, archived: target.checked || undefined } })
            }
          />{" "}
          Archived only{" "}
        </label>
      </FilterBar>
      {error && !data && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data && rows.length === 0 && (
        <NoSources canEdit={canEdit} clear={filter.q || filter.archived ? clear : null} />
      )}
      {rows.length > 0 && <SourcesTable rows={rows} order={order} />}
      {hasNextPage && (
        <Button className="mt-4" onClick={() => void fetchNextPage()}>
          Load more
        </Button>
      )}
    </div>
  );
}

/** `clear` removes the filters, if there are some. */
function NoSources({ canEdit, clear }: { canEdit: boolean; clear: (() => void) | null }) {
  if (clear) return <NoMatch items="custom sources" onClear={clear} />;
  return (
    <EmptyState
      title="No custom sources yet"
      action={
        canEdit && (
          <Link to="/sources/new" className={buttonClasses("primary")}>
            Create a source
          </Link>
        )
      }
    >
      For an API without a connector, write about ten lines of Python: its address, its authentication and its
      pagination. The code runs in a sandbox that can connect only to the hosts you approve.
    </EmptyState>
  );
}

interface TableProps {
  rows: CustomSourceRow[];
  order: SourceOrder | undefined;
}

function SourcesTable({ rows, order }: TableProps) {
  const navigate = useNavigate({ from: "/sources" });
  const sorting = {
    chosen: order,
    standard: "newest" as const,
    onSort: (next: SourceOrder | "newest" | undefined) =>
      void navigate({ search: (current) => parseSourceFilter({ ...current, order: next }) }),
  };
  return (
    <div className="card overflow-x-auto">
      <table className="table w-full border-collapse">
        <thead>
          <tr>
            <SortHeader label="Name" order="name" {...sorting} />
            <th scope="col">Approved version</th>
            <th scope="col">Latest version</th>
            <SortHeader
              label="Updated"
              order="updated"
              direction="descending"
              className="max-sm:hidden"
              {...sorting}
            />
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td className="wrap-anywhere">
                <Link
                  to="/sources/$sourceId"
                  params={{ sourceId: row.id }}
                  className="row-link font-medium hover:underline"
                >
                  <Name>{row.name}</Name>
                </Link>
                {row.repository_path && <p className="text-faint">{row.repository_path}</p>}
                {row.description && (
                  <p dir="auto" className="text-left text-soft">
                    {row.description}
                  </p>
                )}
              </td>
              <td>
                {row.approved_version === null ? (
                  <span className="rounded-control bg-wait-wash px-1.5 text-wait">none</span>
                ) : (
                  `version ${row.approved_version}`
                )}
              </td>
              <td>version {row.latest_version}</td>
              <td className="text-soft max-sm:hidden">
                <RelativeTime time={row.updated_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
