import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap, unwrapVersioned } from "@/api/client";
import { isChangedMeanwhile } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { DependenciesChange } from "@/api/types";

/** After which pipelines a pipeline runs, with the ETag of the pipeline. */
export function dependenciesQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.dependencies(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/pipelines/{id}/dependencies", { params: { path: { id } }, signal })),
  });
}

/** Which pipelines run after which others, in the whole organization. */
export const dependencyGraphQuery = queryOptions({
  queryKey: queryKeys.pipelines.dependencyGraph,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/dependencies", { signal })),
});

/** Changes after which pipelines it runs, if they are still as the caller has seen them. Otherwise the server answers 412. */
export function useChangeDependencies(id: string) {
  const client = useQueryClient();
  const { queryKey } = dependenciesQuery(id);
  return useMutation({
    mutationFn: ({ change, etag }: { change: DependenciesChange; etag: string }) =>
      unwrapVersioned(
        api.PUT("/api/v1/pipelines/{id}/dependencies", {
          params: { path: { id }, header: { "If-Match": etag } },
          body: change,
        }),
      ),
    onSuccess: (saved) => {
      client.setQueryData(queryKey, saved);
      return client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    },
    onError: async (error) => {
      if (isChangedMeanwhile(error)) await client.refetchQueries({ queryKey, exact: true });
    },
  });
}
