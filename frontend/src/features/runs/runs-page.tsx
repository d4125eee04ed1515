import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { isRunStatus } from "@/api/run-status";
import { runsQuery } from "@/api/runs";
import { Button } from "@/components/button";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { useOrgEvents } from "@/live/org-events";
import { RunsTable } from "@/components/runs-table";
import { STATUS_WORDS } from "@/api/status-words";
import { parseRunFilter } from "./filter";

export function RunsPage() {
  // The router also passes parameters on that the page does not know.
  const filter = useSearch({ from: "/app/runs", select: parseRunFilter });
  const navigate = useNavigate({ from: "/runs" });
  useOrgEvents();
  const query = useInfiniteQuery(runsQuery(filter));
  const runs = query.data?.pages.flatMap((page) => page.results) ?? [];
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      <PageHeader title="Runs">
        <select
          aria-label="Status"
          className="control w-auto!"
          value={filter.status ?? ""}
          onChange={({ target }) =>
            void navigate({
              search: isRunStatus(target.value) ? { status: target.value } : {},
            })
          }
        >
          <option value="">Any status</option>
          {Object.entries(STATUS_WORDS).map(([status, word]) => (
            <option key={status} value={status}>
              {word}
            </option>
          ))}
        </select>
      </PageHeader>
      <div className="card @container overflow-x-auto">
        {query.isPending && <Skeletons />}
        {query.isError && runs.length === 0 && (
          <div className="p-3">
            <ErrorNotice error={query.error} retry={() => void query.refetch()} />
          </div>
        )}
        {runs.length > 0 && <RunsTable runs={runs} withPipeline />}
        {query.isSuccess && runs.length === 0 && (
          <EmptyState title={filter.status ? "No runs with this status" : "No runs yet"}>
            {filter.status
              ? "Choose another status to see other runs."
              : "Run a pipeline or give it a schedule. Each run will be listed here."}
          </EmptyState>
        )}
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
