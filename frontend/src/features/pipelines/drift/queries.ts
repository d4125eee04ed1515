import { infiniteQueryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { SourceChange, SourceChangePage } from "@/api/types";

export type Decision = NonNullable<SourceChange["decision"]>;

/** Changes at the source that nobody has accepted or ignored, newest first. */
export function sourceChangesQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: queryKeys.pipelines.sourceChanges(id),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines/{id}/drift", {
          params: {
            path: { id },
            query: { decided: false, limit: 50, ...(pageParam ? { cursor: pageParam } : {}) },
          },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: SourceChangePage) => page.next,
  });
}

/** Accepts or ignores a change, or pauses the schedule because of it. The definition may get another version. */
export function useDecideChange(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ change, decision }: { change: SourceChange; decision: Decision }) =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/drift/{change_id}", {
          params: { path: { id, change_id: change.id } },
          body: { decision },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.one(id) }),
  });
}
