import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { PipelineRow } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { PlusIcon } from "@/components/icons";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { useHasPermissionSomewhere, useReadOnlyReason } from "@/session/use-session";
import { useOrgEvents } from "@/live/org-events";
import { parsePipelineFilter } from "./filter";
import { FilterBar } from "./filter-bar";
import { PipelinesTable } from "./pipelines-table";
import { pipelinesQuery } from "./queries";

export function PipelinesPage() {
  // The router also passes parameters on that the page does not know.
  const filter = useSearch({ from: "/app/pipelines", select: parsePipelineFilter });
  useOrgEvents();
  const query = useInfiniteQuery(pipelinesQuery(filter));
  const readOnlyReason = useReadOnlyReason();
  const canEdit = useHasPermissionSomewhere("pipelines.edit") && readOnlyReason === null;
  const rows = query.data?.pages.flatMap((page) => page.results) ?? [];
  const total = query.data?.pages[0]?.count;
  const hasFilter = Object.keys(filter).length > 0;
  const hasNoPipelines = query.isSuccess && rows.length === 0 && !hasFilter;
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      <PageHeader title="Pipelines" count={total}>
        {canEdit && (
          <Link to="/pipelines/new" className={buttonClasses("primary")}>
            <PlusIcon className="-ml-0.5" />
            New pipeline
          </Link>
        )}
      </PageHeader>
      {!hasNoPipelines && <FilterBar filter={filter} tags={tagsOf(rows)} />}
      <div className="card @container mt-3 overflow-x-auto">
        {query.isPending && <Skeletons />}
        {query.isError && rows.length === 0 && (
          <div className="p-3">
            <ErrorNotice error={query.error} retry={() => void query.refetch()} />
          </div>
        )}
        {rows.length > 0 && <PipelinesTable rows={rows} />}
        {hasNoPipelines && <NoPipelines canEdit={canEdit} readOnlyReason={readOnlyReason} />}
        {query.isSuccess && rows.length === 0 && hasFilter && <NoMatches />}
      </div>
      {query.hasNextPage && (
        <div className="mt-3 text-center">
          <Button
            disabledReason={query.isFetchingNextPage ? "Loading" : null}
            onClick={() => void query.fetchNextPage()}
          >
            {query.isFetchingNextPage ? "Loading…" : "Load more"}
          </Button>
        </div>
      )}
    </div>
  );
}

function tagsOf(rows: PipelineRow[]): string[] {
  return [...new Set(rows.flatMap((row) => row.tags))].sort();
}

function NoPipelines({ canEdit, readOnlyReason }: { canEdit: boolean; readOnlyReason: string | null }) {
  return (
    <EmptyState
      title="No pipelines yet"
      action={
        canEdit && (
          <div className="flex flex-wrap justify-center gap-2">
            <Link to="/start" className={buttonClasses("primary")}>
              Try sample data
            </Link>
            <Link to="/pipelines/new" className={buttonClasses()}>
              Create your first pipeline
            </Link>
          </div>
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

function NoMatches() {
  const navigate = useNavigate({ from: "/pipelines" });
  return (
    <EmptyState
      title="No pipelines match"
      action={<Button onClick={() => void navigate({ search: {} })}>Clear filters</Button>}
    >
      Try fewer words, or another status or tag.
    </EmptyState>
  );
}
