import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { LogPage, Run, RunStreamPage } from "@/api/types";

const LOG_PAGE_SIZE = 2_000; // lines
/** Milliseconds between polls of the streams of a live run. The event stream also changes them. */
const STREAMS_POLL_INTERVAL = 5_000;

export function runQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.runs.one(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/runs/{id}", { params: { path: { id } }, signal })),
  });
}

export function outputsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.runs.outputs(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/runs/{id}/outputs", { params: { path: { id } }, signal })),
  });
}

/** The changes at the source that a run has found. They are loaded again when the status of the run changes. */
export function sourceChangesQuery(run: Pick<Run, "id" | "status" | "pipeline">) {
  return queryOptions({
    queryKey: queryKeys.pipelines.sourceChangesOfRun(run.pipeline.id, run.id, run.status),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines/{id}/drift", {
          params: { path: { id: run.pipeline.id }, query: { run: run.id, limit: 50 } },
          signal,
        }),
      ),
  });
}

export type StreamFilter = "all" | "failed";

/** The streams of a run, in the order of the pipeline's definition. */
export function streamsQuery(id: string, filter: StreamFilter, live: boolean) {
  return infiniteQueryOptions({
    queryKey: queryKeys.runs.streams(id, filter),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/runs/{id}/streams", {
          params: {
            path: { id },
            query: { offset: pageParam, ...(filter === "failed" ? { status: "failed" as const } : {}) },
          },
          signal,
        }),
      ),
    initialPageParam: 0,
    getNextPageParam: (page: RunStreamPage) => page.next_offset,
    refetchInterval: live ? STREAMS_POLL_INTERVAL : false,
  });
}

export function fetchLogPage(id: string, offset: number, signal: AbortSignal): Promise<LogPage> {
  const query = { offset, limit: LOG_PAGE_SIZE };
  return unwrap(api.GET("/api/v1/runs/{id}/logs", { params: { path: { id }, query }, signal }));
}

export function useCancelRun(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/runs/{id}/cancel", { params: { path: { id } } })),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.runs.all }),
  });
}

export function useRetryRun(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/api/v1/runs/{id}/retry", {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
        }),
      ),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: queryKeys.runs.all });
      void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    },
  });
}
