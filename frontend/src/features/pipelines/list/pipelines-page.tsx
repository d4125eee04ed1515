import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import type { PipelineRow } from "@/api/types";
import { buttonClasses } from "@/components/button";
import { PlusIcon } from "@/components/icons";
import { classNames } from "@/components/class-names";
import { NoMatch } from "@/components/filter-bar";
import { EmptyState, ErrorNotice, Notice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { useHasPermission, useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";
import { BulkBar, type BulkFailures } from "./bulk-bar";
import { filterOf, parsePipelineSearch, type PipelineSearch } from "./filter";
import { FilterBar } from "./filter-bar";
import { listItems } from "./items";
import { OrderFields } from "./order-fields";
import { PipelinesGrid } from "./pipelines-grid";
import { facetsQuery, pipelinesQuery } from "./queries";
import { useKindNames } from "./use-kind-names";
import { useLiveRows } from "./use-live-rows";
import { useSelection } from "./use-selection";
import { ViewsBar } from "./views-bar";

const NONE: PipelineRow[] = [];

export function PipelinesPage() {
  // The router also passes parameters on that the page does not know.
  const search = useSearch({ from: "/app/pipelines", select: parsePipelineSearch });
  const navigate = useNavigate({ from: "/pipelines" });
  useLiveRows();
  const query = useInfiniteQuery(pipelinesQuery(search));
  const facets = useQuery(facetsQuery(filterOf(search))).data;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.results) ?? NONE, [query.data]);
  const canEdit = useHasPermissionSomewhere("pipelines.edit");
  const readOnlyReason = useReadOnlyReason();
  const canCreate = canEdit && readOnlyReason === null;
  const hasFilter = Object.keys(filterOf(search)).length > 0;
  const isEmpty = query.isSuccess && !query.isPlaceholderData && rows.length === 0;
  const hasNoPipelines = isEmpty && !hasFilter;
  return (
    <div className="mx-auto max-w-[120rem] px-4 py-4 md:px-6">
      <PageHeader title="Pipelines" count={query.data?.pages[0]?.count}>
        {!hasNoPipelines && <OrderFields search={search} />}
        {!hasNoPipelines && (
          <Link to="/dependencies" className={classNames(buttonClasses("plain"), "max-sm:hidden")}>
            Dependencies
          </Link>
        )}
        {canCreate && (
          <Link to="/pipelines/new" className={buttonClasses("primary")}>
            <PlusIcon className="-ml-0.5" />
            New pipeline
          </Link>
        )}
      </PageHeader>
      {!hasNoPipelines && (
        <div className="flex flex-col gap-2">
          <ViewsBar search={search} />
          <FilterBar search={search} facets={facets} />
        </div>
      )}
      <div className="card mt-2">
        {query.isPending && <Skeletons rows={12} />}
        {query.isError && rows.length === 0 && (
          <div className="p-3">
            <ErrorNotice error={query.error} retry={() => void query.refetch()} />
          </div>
        )}
        {rows.length > 0 && <List rows={rows} search={search} />}
        {hasNoPipelines && <NoPipelines canEdit={canCreate} readOnlyReason={readOnlyReason} />}
        {isEmpty && hasFilter && <NoMatch items="pipelines" onClear={() => void navigate({ search: {} })} />}
      </div>
    </div>
  );
}

function List({ rows, search }: { rows: PipelineRow[]; search: PipelineSearch }) {
  const kindName = useKindNames(filterOf(search));
  const canSelect = useCanSelect();
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [failures, setFailures] = useState<BulkFailures | null>(null);
  const items = useMemo(
    () => listItems(rows, search.group, closed, kindName),
    [rows, search.group, closed, kindName],
  );
  // A pipeline with two tags has two lines, but can be selected once.
  const selectable = useMemo(
    () => [
      ...new Set(
        items.flatMap((item) => (item.kind === "pipeline" && canSelect(item.row) ? [item.row.id] : [])),
      ),
    ],
    [items, canSelect],
  );
  const selection = useSelection(selectable);
  function toggleGroup(group: string) {
    const next = new Set(closed);
    if (!next.delete(group)) next.add(group);
    setClosed(next);
  }
  return (
    <>
      {failures && <Failures {...failures} onClose={() => setFailures(null)} />}
      <PipelinesGrid
        items={items}
        selectable={selectable}
        rows={rows}
        search={search}
        kindName={kindName}
        selection={selection}
        canSelect={canSelect}
        onToggleGroup={toggleGroup}
      />
      {selection.ids.size > 0 && (
        <BulkBar
          rows={rows.filter(({ id }) => selection.ids.has(id))}
          onClear={() => selection.setAll(false)}
          onFailures={setFailures}
        />
      )}
    </>
  );
}

/** Returns a function that says whether the user may do anything with a pipeline, so that selecting it has a use. */
function useCanSelect(): (row: PipelineRow) => boolean {
  const hasPermission = useHasPermission();
  const readOnlyReason = useReadOnlyReason();
  return (row) =>
    readOnlyReason === null &&
    (hasPermission("pipelines.run", row.domain?.id) || hasPermission("pipelines.edit", row.domain?.id));
}

const SHOWN_FAILURES = 20;

function Failures({ title, failures, onClose }: BulkFailures & { onClose: () => void }) {
  return (
    <div className="p-2">
      <Notice title={title} retry={onClose} retryLabel="Dismiss">
        <ul className="text-[0.8125rem] text-soft">
          {failures.slice(0, SHOWN_FAILURES).map(({ id, name, reason }) => (
            <li key={id}>
              <Link to="/pipelines/$pipelineId" params={{ pipelineId: id }} className="link">
                {name}
              </Link>
              : {reason}
            </li>
          ))}
          {failures.length > SHOWN_FAILURES && <li>and {failures.length - SHOWN_FAILURES} more</li>}
        </ul>
      </Notice>
    </div>
  );
}

function NoPipelines({ canEdit, readOnlyReason }: { canEdit: boolean; readOnlyReason: string | null }) {
  return (
    <EmptyState
      title="No pipelines yet"
      action={
        canEdit && (
          <Link to="/pipelines/new" className={buttonClasses("primary")}>
            Create your first pipeline
          </Link>
        )
      }
    >
      <p>
        A pipeline copies streams, such as the tables of a database, from a source to a destination, once or
        on a schedule.
      </p>
      <p className="mt-2">
        {canEdit
          ? "You need the address and the credentials of a source. You can preview 10 records before anything is written."
          : (readOnlyReason ??
            "Your role is read-only. Ask a member of the organization to create a pipeline.")}
      </p>
    </EmptyState>
  );
}
