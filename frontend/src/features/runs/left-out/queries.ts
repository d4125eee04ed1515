import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refreshRuns } from "@/api/runs";
import type { LeftOut } from "@/api/types";

export type LeftOutKind = LeftOut["kind"];

/** The records that a run rejected or skipped. They are loaded again when the status of the run changes. */
export function leftOutQuery(id: string, kind: LeftOutKind, status: string) {
  return infiniteQueryOptions({
    queryKey: queryKeys.runs.leftOut(id, kind, status),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/runs/{id}/rejected", {
          params: { path: { id }, query: { kind, offset: pageParam } },
          signal,
        }),
      ),
    initialPageParam: 0,
    getNextPageParam: (page: LeftOut) => page.next_offset,
  });
}

/** For which streams the rejected records can be sent again. */
export function replayableQuery(id: string, status: string) {
  return queryOptions({
    queryKey: queryKeys.runs.replayable(id, status),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/runs/{id}/rejected/replay", { params: { path: { id } }, signal })),
  });
}

/** Starts a run that sends the rejected records of these streams again, or of all streams that allow it. */
export function useSendAgain(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (streams: string[] | null) =>
      unwrap(
        api.POST("/api/v1/runs/{id}/rejected/replay", {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
          body: { streams },
        }),
      ),
    onSettled: () => refreshRuns(client),
  });
}
