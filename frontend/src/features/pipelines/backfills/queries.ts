import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { BackfillWindow } from "@/api/types";

const POLL_INTERVAL = 3_000; // milliseconds, while a backfill is in progress

export function backfillsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.backfills(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/backfills", { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) =>
      state.data?.results.some(({ status }) => status === "running") ? POLL_INTERVAL : false,
  });
}

/** Asks how many records a backfill would read, without starting it. */
export function useEstimateBackfill(id: string) {
  return useMutation({
    mutationFn: (body: BackfillWindow) =>
      unwrap(api.POST("/api/v1/pipelines/{id}/backfills/estimate", { params: { path: { id } }, body })),
  });
}

export function useCreateBackfill(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: BackfillWindow) =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/backfills", {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
          body,
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.backfills(id) }),
  });
}

export function useCancelBackfill(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (backfill: string) =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/backfills/{backfill}/cancel", {
          params: { path: { id, backfill } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.backfills(id) }),
  });
}
