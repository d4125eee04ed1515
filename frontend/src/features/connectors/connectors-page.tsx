import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { saveFile } from "@/api/download";
import type { ConnectorRow } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { ConnectorLogo } from "@/components/connector-logo";
import { useKindName } from "@/components/connectors/use-kind-name";
import { LoadErrorPage } from "@/components/error-pages";
import { FilterBar, FilterSelect, NoMatch } from "@/components/filter-bar";
import { PlusIcon } from "@/components/icons";
import { EmptyState, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { SortHeader } from "@/components/sort-header";
import { showError } from "@/components/toast";
import { Name } from "@/components/name";
import { countWithNoun } from "@/format/number";
import { useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";
import { connectorsAsCsv, parseConnectorFilter, type ConnectorFilter, type ConnectorOrder } from "./filter";
import { connectorsQuery, fetchConnectors } from "./queries";
import { TestState } from "./test-state";

export function ConnectorsPage() {
  // The router also passes on parameters that the list does not know.
  const filter = parseConnectorFilter({ ...useSearch({ from: "/app/connectors" }) });
  const isEditor = useHasPermissionSomewhere("connectors.edit");
  const canEdit = useReadOnlyReason() === null && isEditor;
  const { data, error, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(connectorsQuery(filter));
  const rows = data?.pages.flatMap(({ results }) => results) ?? [];
  return (
    <div className="mx-auto max-w-[80rem] px-4 py-5 md:px-6">
      <PageHeader title="Connectors" count={data?.pages[0]?.count}>
        <DownloadButton filter={filter} isEmpty={rows.length === 0} />
        {canEdit && <NewConnectorLink />}
      </PageHeader>
      <p className="mb-4 text-soft">
        A connector is a saved connection that pipelines share. See also{" "}
        <Link to="/sources" className="underline">
          custom sources
        </Link>{" "}
        written in Python, and uploaded{" "}
        <Link to="/files" className="underline">
          files
        </Link>
        .
      </p>
      <Filters filter={filter} />
      {error && !data && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data && rows.length === 0 && <NoConnectors filter={filter} canEdit={canEdit} />}
      {rows.length > 0 && <ConnectorsTable rows={rows} order={filter.order} />}
      {hasNextPage && (
        <Button className="mt-4" onClick={() => void fetchNextPage()}>
          Load more
        </Button>
      )}
    </div>
  );
}

/** Downloads all connectors that match, not only those of the loaded pages. */
function DownloadButton({ filter, isEmpty }: { filter: ConnectorFilter; isEmpty: boolean }) {
  const download = useMutation({
    mutationFn: () => fetchConnectors(filter),
    onSuccess: ({ results }) =>
      saveFile(new Blob([connectorsAsCsv(results)], { type: "text/csv" }), "connectors.csv"),
    onError: (error) => showError(error),
  });
  return (
    <Button
      disabledReason={isEmpty ? "No connectors to download" : download.isPending ? "Downloading" : null}
      onClick={() => download.mutate()}
    >
      Download CSV
    </Button>
  );
}

function NewConnectorLink() {
  return (
    <Link to="/connectors/new" className={buttonClasses("primary")}>
      <PlusIcon /> New connector
    </Link>
  );
}

const ROLE_WORDS = { source: "Sources", destination: "Destinations" };

function Filters({ filter: { order, ...filter } }: { filter: ConnectorFilter }) {
  const navigate = useNavigate({ from: "/connectors" });
  const change = (next: ConnectorFilter, replace = false) =>
    void navigate({ search: (current) => ({ ...current, ...next }), replace });
  return (
    <FilterBar
      items="connectors"
      filter={filter}
      onSearch={(q, replace) => change({ q }, replace)}
      onClear={() => void navigate({ search: { order } })}
    >
      <FilterSelect
        label="Role"
        any="Sources and destinations"
        value={filter.role}
        words={ROLE_WORDS}
        onChange={(role) => change({ role })}
      />
    </FilterBar>
  );
}

function NoConnectors({ filter, canEdit }: { filter: ConnectorFilter; canEdit: boolean }) {
  const navigate = useNavigate({ from: "/connectors" });
  if (filter.q || filter.role)
    return <NoMatch items="connectors" onClear={() => void navigate({ search: { order: filter.order } })} />;
  return (
    <EmptyState title="No connectors yet" action={canEdit && <NewConnectorLink />}>
      {canEdit
        ? "Save the address, the user and the password of a database or an API once, and use them in any number of pipelines. Create one connector for the source that you want to read, and one for the destination that you want to write to. Passwords are encrypted and never shown again."
        : "Members can save the connection to a database or an API here. Pipelines then read from it or write to it."}
    </EmptyState>
  );
}

interface TableProps {
  rows: ConnectorRow[];
  order: ConnectorOrder | undefined;
}

function ConnectorsTable({ rows, order }: TableProps) {
  const navigate = useNavigate({ from: "/connectors" });
  const sorting = {
    chosen: order,
    standard: "newest" as const,
    onSort: (next: ConnectorOrder | "newest" | undefined) =>
      void navigate({ search: (current) => parseConnectorFilter({ ...current, order: next }) }),
  };
  const kindName = useKindName();
  const hasDomains = rows.some(({ domain }) => domain);
  return (
    <div className="card overflow-x-auto">
      <table className="table w-full border-collapse">
        <thead>
          <tr>
            <SortHeader label="Name" order="name" {...sorting} />
            <SortHeader label="Kind" order="kind" className="max-sm:hidden" {...sorting} />
            {hasDomains && (
              <th scope="col" className="max-lg:hidden">
                Domain
              </th>
            )}
            <th scope="col">Used by</th>
            <SortHeader
              label="Health"
              order="tested"
              direction="descending"
              className="max-sm:hidden"
              {...sorting}
            />
            <SortHeader
              label="Updated"
              order="updated"
              direction="descending"
              className="max-lg:hidden"
              {...sorting}
            />
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td className="wrap-anywhere">
                <div className="flex items-center gap-2">
                  <ConnectorLogo kind={row.kind} />
                  <Link
                    to="/connectors/$connectorId"
                    params={{ connectorId: row.id }}
                    className="row-link font-medium hover:underline"
                  >
                    <Name>{row.name}</Name>
                  </Link>
                </div>
                <p className="text-[0.8125rem] text-faint sm:hidden">
                  {kindName(row.role, row.kind)}, {row.role}
                </p>
                <div className="sm:hidden">
                  <TestState connector={row} />
                </div>
                {row.description && (
                  <p dir="auto" className="line-clamp-2 text-left text-soft">
                    {row.description}
                  </p>
                )}
              </td>
              <td className="max-sm:hidden">
                {kindName(row.role, row.kind)} <span className="text-faint">{row.role}</span>
              </td>
              {hasDomains && (
                <td className="text-soft max-lg:hidden">
                  <Name>{row.domain?.name ?? "–"}</Name>
                </td>
              )}
              <td className="whitespace-nowrap tabular-nums">
                {row.pipeline_count > 0 ? (
                  countWithNoun(row.pipeline_count, "pipeline")
                ) : (
                  <span className="text-faint">Not used</span>
                )}
              </td>
              <td className="max-sm:hidden">
                <TestState connector={row} />
              </td>
              <td className="text-soft max-lg:hidden">
                <RelativeTime time={row.updated_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
