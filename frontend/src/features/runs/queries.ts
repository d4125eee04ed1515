import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refreshRuns, retryRun } from "@/api/runs";
import type { LogLine, LogMatches, LogPage, Run, RunStreamPage } from "@/api/types";

type Level = LogLine["level"];

/** Milliseconds between polls of the streams of a live run. The event stream also changes them. */
const STREAMS_POLL_INTERVAL = 5_000;

export function runQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.runs.one(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/runs/{id}", { params: { path: { id } }, signal })),
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

interface LogRange {
  offset: number;
  limit: number;
  level?: Level;
  text?: string;
}

export function fetchLogPage(
  id: string,
  { offset, limit, level, text }: LogRange,
  signal: AbortSignal,
): Promise<LogPage> {
  const query = { offset, limit, ...filterParameters(level, text) };
  return unwrap(api.GET("/api/v1/runs/{id}/logs", { params: { path: { id }, query }, signal }));
}

/** Where lines match, from the part of the log with this line on. */
export function fetchLogMatches(
  id: string,
  { level, text }: { level: Level; text: string },
  offset: number,
  signal: AbortSignal,
): Promise<LogMatches> {
  const query = { offset, ...filterParameters(level, text) };
  return unwrap(api.GET("/api/v1/runs/{id}/logs/matches", { params: { path: { id }, query }, signal }));
}

function filterParameters(level: Level | undefined, text: string | undefined) {
  return { ...(level && level !== "debug" ? { level } : {}), ...(text ? { q: text } : {}) };
}

/** The number of the first line with the level error, or null. It is asked again when the status of the run changes. */
export function firstErrorQuery({ id, status }: Pick<Run, "id" | "status">) {
  return queryOptions({
    queryKey: queryKeys.runs.firstError(id, status),
    queryFn: async ({ signal }) => {
      const page = await fetchLogPage(id, { offset: 0, limit: 1, level: "error" }, signal);
      return page.lines[0]?.line ?? null;
    },
  });
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
    mutationFn: () => retryRun(id),
    onSettled: () => refreshRuns(client),
  });
}

const QUEUE_POLL_INTERVAL = 15_000; // it is also polled, because the event stream can fail

/** What runs now, and which runs wait. */
export const queueQuery = queryOptions({
  queryKey: queryKeys.runs.queue,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/queue", { signal })),
  refetchInterval: QUEUE_POLL_INTERVAL,
});
