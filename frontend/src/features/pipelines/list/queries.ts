import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueries,
  useQueryClient,
} from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refreshRuns } from "@/api/runs";
import type { BulkAnswer, BulkAction, PipelineRowPage, RecentRun, SavedView } from "@/api/types";
import { filterOf, type PipelineFilter, type PipelineSearch } from "./filter";

// Events change the rows of running pipelines. The rest is fetched again now and then, because the event stream can fail.
const POLL_INTERVAL = 30_000; // milliseconds
/** Rows per request. All pipelines are fetched, so that they can be grouped and selected. */
const PAGE_SIZE = 1000;
/** Pipelines whose newest runs are fetched by one request. */
export const RUNS_CHUNK = 50;

export function pipelinesQuery(search: PipelineSearch) {
  const { order } = search;
  const query = { ...filterOf(search), ...(order ? { order } : {}), limit: PAGE_SIZE };
  return infiniteQueryOptions({
    queryKey: queryKeys.pipelines.list(query),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines", {
          params: { query: { ...query, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: PipelineRowPage) => page.next,
    placeholderData: keepPreviousData,
    refetchInterval: POLL_INTERVAL,
  });
}

/** How many pipelines each value of each filter has. */
export function facetsQuery(filter: PipelineFilter) {
  return queryOptions({
    queryKey: queryKeys.pipelines.facets(filter),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/facets", { params: { query: filter }, signal })),
    placeholderData: keepPreviousData,
  });
}

function recentRunsQuery(ids: string[]) {
  const pipelines = ids.join(",");
  return queryOptions({
    queryKey: queryKeys.pipelines.recentRuns(pipelines),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/recent-runs", { params: { query: { pipelines } }, signal })),
    staleTime: POLL_INTERVAL,
  });
}

/** The newest runs of these pipelines, by pipeline. Those that are not known yet are left out. */
export function useRecentRuns(chunks: string[][]): ReadonlyMap<string, RecentRun[]> {
  return useQueries({
    queries: chunks.map(recentRunsQuery),
    combine: (answers) =>
      new Map(
        answers.flatMap(
          ({ data }) => data?.results.map(({ pipeline_id, runs }) => [pipeline_id, runs]) ?? [],
        ),
      ),
  });
}

const MAX_IDS = 1000; // that the API accepts at once

interface BulkRequest {
  ids: string[];
  action: BulkAction;
  tags?: string[];
}

/** Does something with many pipelines. The answer has a result for each of them. */
export function useBulk() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ ids, ...request }: BulkRequest) => {
      const answers: BulkAnswer[] = [];
      for (let start = 0; start < ids.length; start += MAX_IDS) {
        const body = { ...request, ids: ids.slice(start, start + MAX_IDS) };
        const header = { "Idempotency-Key": newIdempotencyKey() };
        answers.push(await unwrap(api.POST("/api/v1/pipelines/bulk", { params: { header }, body })));
      }
      return answers.flatMap(({ results }) => results);
    },
    onSettled: () => refreshRuns(client),
  });
}

export const viewsQuery = queryOptions({
  queryKey: queryKeys.views,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/views", { params: { query: { limit: 200 } }, signal })),
  staleTime: Infinity,
});

type ViewAction =
  | { create: Pick<SavedView, "name" | "filter"> }
  | { change: Partial<Pick<SavedView, "name" | "filter">>; id: string }
  | { remove: string };

/** Saves, changes or deletes a view. */
export function useChangeView() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (action: ViewAction): Promise<void> => {
      if ("create" in action) {
        await unwrap(api.POST("/api/v1/views", { body: action.create }));
      } else if ("change" in action) {
        const params = { path: { id: action.id } };
        await unwrap(api.PATCH("/api/v1/views/{id}", { params, body: action.change }));
      } else {
        await unwrap(api.DELETE("/api/v1/views/{id}", { params: { path: { id: action.remove } } }));
      }
    },
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.views }),
  });
}
