import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api, intention } from "@/api/client";
import type { LogPage, RunRowPage } from "@/api/types";
import { isLive } from "@/components/status";
import type { RunFilter } from "./filter";

const LIVE_POLL = 5_000; // milliseconds between looks at a list with live runs, should its stream fail
const LOG_PAGE = 2_000; // lines

export function runQuery(id: string) {
  return queryOptions({
    queryKey: ["runs", "one", id],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/runs/{id}", { params: { path: { id } }, signal })),
  });
}

export function outputsQuery(id: string) {
  return queryOptions({
    queryKey: ["runs", "outputs", id],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/runs/{id}/outputs", { params: { path: { id } }, signal })),
  });
}

export function runsQuery(filter: RunFilter & { pipeline?: string }, limit = 50) {
  return infiniteQueryOptions({
    queryKey: ["runs", "list", filter, limit],
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET("/api/v1/runs", {
          params: { query: { ...filter, limit, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: RunRowPage) => page.next,
    refetchInterval: ({ state }) => {
      const runs = state.data?.pages.flatMap((page) => page.results) ?? [];
      return runs.some((run) => isLive(run.status)) ? LIVE_POLL : false;
    },
  });
}

export function logPage(id: string, offset: number, signal: AbortSignal): Promise<LogPage> {
  const query = { offset, limit: LOG_PAGE };
  return answer(api.GET("/api/v1/runs/{id}/logs", { params: { path: { id }, query }, signal }));
}

export function useCancelRun(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => answer(api.POST("/api/v1/runs/{id}/cancel", { params: { path: { id } } })),
    onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
}

export function useRetryRun(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (key: string) =>
      answer(
        api.POST("/api/v1/runs/{id}/retry", {
          params: { path: { id }, header: { "Idempotency-Key": key } },
        }),
      ),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: ["runs"] });
      void client.invalidateQueries({ queryKey: ["pipelines"] });
    },
  });
}

export function startOfRetry(): string {
  return intention();
}
