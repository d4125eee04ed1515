import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { downloadFile } from "@/api/download";
import { runsQuery } from "@/api/runs";
import { Button } from "@/components/button";
import { NoMatch } from "@/components/filter-bar";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { SortButton } from "@/components/sort-header";
import { RunsTable } from "@/components/runs-table";
import { formatCount } from "@/format/number";
import { showError } from "@/components/toast";
import { momentsOf } from "@/format/days";
import { useOrgEvents } from "@/live/org-events";
import { parseRunFilter, type RunFilter } from "./filter";
import { RunFilters } from "./run-filters";

export function RunsPage() {
  // The router also passes parameters on that the page does not know.
  const filter = useSearch({ from: "/app/runs", select: parseRunFilter });
  useOrgEvents();
  const { since, until, ...others } = filter;
  const ofApi = { ...others, ...momentsOf({ since, until }) };
  const query = useInfiniteQuery({
    ...runsQuery(ofApi),
    placeholderData: keepPreviousData, // the list does not vanish while a search is typed
  });
  const runs = query.data?.pages.flatMap((page) => page.results) ?? [];
  const count = query.data?.pages[0]?.count ?? 0;
  const ofPipeline = runs.find(({ pipeline }) => pipeline.id === filter.pipeline)?.pipeline;
  const isEmpty = query.isSuccess && !query.isPlaceholderData && runs.length === 0;
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      <PageHeader title="Runs" count={query.data && count}>
        <Button
          title={count > MAX_EXPORTED ? `The newest ${formatCount(MAX_EXPORTED)} runs that match` : undefined}
          disabledReason={runs.length === 0 ? "No runs to download" : null}
          onClick={() => void downloadRuns(ofApi).catch(showError)}
        >
          Download CSV
        </Button>
      </PageHeader>
      <RunFilters filter={filter} pipelineName={ofPipeline?.name} />
      <div className="card @container overflow-x-auto">
        {query.isPending && <Skeletons />}
        {query.isError && runs.length === 0 && (
          <div className="p-3">
            <ErrorNotice error={query.error} retry={() => void query.refetch()} />
          </div>
        )}
        {runs.length > 0 && (
          <RunsTable runs={runs} withPipeline createdHeader={<CreatedHeader order={filter.order} />} />
        )}
        {isEmpty && <NoRuns filter={filter} />}
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

const MAX_EXPORTED = 100_000; // runs that the API exports

/** Downloads all runs that match, not only those of the loaded pages. They are newest first. */
function downloadRuns(filter: RunFilter): Promise<void> {
  const parameters = new URLSearchParams({ ...filter });
  parameters.delete("order");
  return downloadFile(`/api/v1/runs/export?${parameters}`, "runs.csv");
}

/** Sorts by the time of creation, the only order of the runs that an index has. */
function CreatedHeader({ order }: { order: RunFilter["order"] }) {
  const navigate = useNavigate({ from: "/runs" });
  const direction = order ? "ascending" : "descending";
  return (
    <th scope="col" aria-sort={direction} className="hidden @lg:table-cell">
      <SortButton
        label="Created"
        direction={direction}
        title={order ? "Newest first" : "Oldest first"}
        onClick={() =>
          void navigate({
            search: (current) => parseRunFilter({ ...current, order: order ? undefined : "created_at" }),
          })
        }
      />
    </th>
  );
}

function NoRuns({ filter: { order, ...filter } }: { filter: RunFilter }) {
  const navigate = useNavigate({ from: "/runs" });
  if (Object.keys(filter).length === 0)
    return (
      <EmptyState title="No runs yet">
        Run a pipeline or give it a schedule. Each run will be listed here.
      </EmptyState>
    );
  return (
    <NoMatch items="runs" onClear={() => void navigate({ search: { order } })}>
      {filter.q &&
        " Of messages, only those of the newest failed runs are searched: choose days or a pipeline to search older ones."}
    </NoMatch>
  );
}
