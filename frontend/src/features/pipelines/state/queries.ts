import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { PipelineState, PositionHistory } from "@/api/types";

export function stateQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.state(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/state", { params: { path: { id } }, signal })),
  });
}

/** Lets the next run of the stream read everything again, or of all streams for null. */
export function useResetStream(id: string) {
  return useChangeState(id, (stream: string | null) =>
    unwrap(
      api.POST("/api/v1/pipelines/{id}/state/reset", {
        params: { path: { id } },
        body: stream === null ? {} : { stream },
      }),
    ),
  );
}

interface NewPosition {
  stream: string;
  position: Record<string, unknown>;
}

/** Lets the next run of the stream continue from another position. */
export function useSetPosition(id: string) {
  return useChangeState(id, ({ stream, position }: NewPosition) =>
    unwrap(
      api.PUT("/api/v1/pipelines/{id}/state", {
        params: { path: { id } },
        body: { stream, state: position },
      }),
    ),
  );
}

/** Changes of the saved position of a stream, newest first. */
export function positionHistoryQuery(id: string, stream: string) {
  return infiniteQueryOptions({
    queryKey: queryKeys.pipelines.positionHistory(id, stream),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines/{id}/state/history", {
          params: { path: { id }, query: { stream, offset: pageParam } },
          signal,
        }),
      ),
    initialPageParam: 0,
    getNextPageParam: (page: PositionHistory) => page.next_offset,
  });
}

interface EarlierPosition {
  change: string;
  side: "before" | "after";
}

/** Lets the next run of a stream continue from the position before or after a change. */
export function useRestorePosition(id: string) {
  return useChangeState(id, (position: EarlierPosition) =>
    unwrap(api.POST("/api/v1/pipelines/{id}/state/restore", { params: { path: { id } }, body: position })),
  );
}

function useChangeState<Value>(id: string, change: (value: Value) => Promise<PipelineState>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: (state) => client.setQueryData(stateQuery(id).queryKey, state),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.positionHistories(id) }),
    // The server refuses a change while a run is in progress, so the page may be outdated.
    onError: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.one(id) }),
  });
}
