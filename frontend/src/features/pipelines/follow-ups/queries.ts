import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { FollowUpChange, FollowUpCreate } from "@/api/types";

const POLL_INTERVAL = 30_000;

/** What is called after the runs of the pipeline. It has at most 20, so one page has all of them. */
export function followUpsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.followUps(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/follow-ups", { params: { path: { id } }, signal })),
  });
}

/** The newest calls, with their answers. */
export function followUpCallsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.followUpCalls(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/follow-ups/calls", { params: { path: { id } }, signal })),
    refetchInterval: POLL_INTERVAL,
  });
}

function useFollowUpMutation<Input, Output>(id: string, mutationFn: (input: Input) => Promise<Output>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.followUps(id) }),
  });
}

export function useCreateFollowUp(id: string) {
  return useFollowUpMutation(id, (body: FollowUpCreate) =>
    unwrap(
      api.POST("/api/v1/pipelines/{id}/follow-ups", {
        params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
        body,
      }),
    ),
  );
}

export function useChangeFollowUp(id: string) {
  return useFollowUpMutation(id, ({ followUp, change }: { followUp: string; change: FollowUpChange }) =>
    unwrap(
      api.PATCH("/api/v1/pipelines/{id}/follow-ups/{follow_up}", {
        params: { path: { id, follow_up: followUp } },
        body: change,
      }),
    ),
  );
}

export function useDeleteFollowUp(id: string) {
  return useFollowUpMutation(id, (followUp: string) =>
    unwrap(
      api.DELETE("/api/v1/pipelines/{id}/follow-ups/{follow_up}", {
        params: { path: { id, follow_up: followUp } },
      }),
    ),
  );
}
