import { infiniteQueryOptions, type QueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "./client";
import { queryKeys } from "./query-keys";
import { isLive } from "./run-status";
import type { operations } from "./schema";
import type { Run, RunRowPage } from "./types";

/** Milliseconds between polls of a list with live runs. It is polled because the event stream can fail. */
const LIVE_POLL_INTERVAL = 5_000;

type Filter = Omit<NonNullable<operations["runs_list"]["parameters"]["query"]>, "cursor" | "limit" | "order">;

/** The runs of the organization, newest first. */
export function runsQuery(filter: Filter, limit = 50) {
  return infiniteQueryOptions({
    queryKey: queryKeys.runs.list(filter, limit),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/runs", {
          params: { query: { ...filter, limit, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: RunRowPage) => page.next,
    refetchInterval: ({ state }) => {
      const runs = state.data?.pages.flatMap((page) => page.results) ?? [];
      return runs.some((run) => isLive(run.status)) ? LIVE_POLL_INTERVAL : false;
    },
  });
}

/** Starts a run of the pipeline. */
export function startRun(pipelineId: string): Promise<Run> {
  return unwrap(
    api.POST("/api/v1/pipelines/{id}/run", {
      params: { path: { id: pipelineId }, header: { "Idempotency-Key": newIdempotencyKey() } },
      body: {},
    }),
  );
}

/** Runs a failed or cancelled run again. */
export function retryRun(id: string): Promise<Run> {
  return unwrap(
    api.POST("/api/v1/runs/{id}/retry", {
      params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
    }),
  );
}

/** Fetches the shown runs and pipelines again, after a run was started or changed. */
export function refreshRuns(client: QueryClient): void {
  void client.invalidateQueries({ queryKey: queryKeys.runs.all });
  void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
}
