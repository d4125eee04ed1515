import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap, unwrapVersioned } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { FollowUpChange, FollowUpCreate } from "@/api/types";

const POLL_INTERVAL = 30_000; // milliseconds
const FAST_POLL_INTERVAL = 1_000; // while a call is made

/** What is called after the runs of the pipeline. It has at most 20, so one page has all of them. */
export function followUpsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.followUps(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/follow-ups", { params: { path: { id } }, signal })),
  });
}

/** One of them with the ETag that its form needs. */
export function followUpQuery(id: string, followUp: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.followUp(id, followUp),
    queryFn: ({ signal }) =>
      unwrapVersioned(
        api.GET("/api/v1/pipelines/{id}/follow-ups/{follow_up}", {
          params: { path: { id, follow_up: followUp } },
          signal,
        }),
      ),
  });
}

/** The newest calls, with their answers. */
export function followUpCallsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.followUpCalls(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/follow-ups/calls", { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) =>
      state.data?.results.some(({ state, attempts }) => state === "pending" && attempts === 0)
        ? FAST_POLL_INTERVAL
        : POLL_INTERVAL,
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

interface Change {
  followUp: string;
  etag?: string;
  change: FollowUpChange;
}

export function useChangeFollowUp(id: string) {
  return useFollowUpMutation(id, ({ followUp, etag, change }: Change) =>
    unwrap(
      api.PATCH("/api/v1/pipelines/{id}/follow-ups/{follow_up}", {
        params: { path: { id, follow_up: followUp }, ...(etag && { header: { "If-Match": etag } }) },
        body: change,
      }),
    ),
  );
}

/** Makes a test call, and returns it. */
export function useTestFollowUp(id: string) {
  return useFollowUpMutation(id, (followUp: string) =>
    unwrap(
      api.POST("/api/v1/pipelines/{id}/follow-ups/{follow_up}/test", {
        params: {
          path: { id, follow_up: followUp },
          header: { "Idempotency-Key": newIdempotencyKey() },
        },
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
