import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { HookChange, HookCreate } from "@/api/types";

/** The hooks with which programs start the pipeline. It has at most 20, so one page has all of them. */
export function hooksQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.hooks(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/hooks", { params: { path: { id } }, signal })),
  });
}

function useHookMutation<Input, Output>(pipelineId: string, mutationFn: (input: Input) => Promise<Output>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.hooks(pipelineId) }),
  });
}

export function useCreateHook(id: string) {
  return useHookMutation(id, (body: HookCreate) =>
    unwrap(
      api.POST("/api/v1/pipelines/{id}/hooks", {
        params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
        body,
      }),
    ),
  );
}

export function useChangeHook(id: string) {
  return useHookMutation(id, ({ hook, change }: { hook: string; change: HookChange }) =>
    unwrap(
      api.PATCH("/api/v1/pipelines/{id}/hooks/{hook}", { params: { path: { id, hook } }, body: change }),
    ),
  );
}

export function useRotateHook(id: string) {
  return useHookMutation(id, (hook: string) =>
    unwrap(
      api.POST("/api/v1/pipelines/{id}/hooks/{hook}/rotate", {
        params: { path: { id, hook }, header: { "Idempotency-Key": newIdempotencyKey() } },
      }),
    ),
  );
}

export function useDeleteHook(id: string) {
  return useHookMutation(id, (hook: string) =>
    unwrap(api.DELETE("/api/v1/pipelines/{id}/hooks/{hook}", { params: { path: { id, hook } } })),
  );
}
