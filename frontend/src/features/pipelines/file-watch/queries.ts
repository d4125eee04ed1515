import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrapVersioned } from "@/api/client";
import { isChangedMeanwhile } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { FileWatchChange } from "@/api/types";

const POLL_INTERVAL = 30_000;

/** Whether the pipeline starts when new files arrive, with the ETag of the pipeline. */
export function fileWatchQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.fileWatch(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/pipelines/{id}/file-watch", { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.enabled ? POLL_INTERVAL : false),
  });
}

/** Changes the watch if it is still as the caller has seen it. Otherwise the server answers 412. */
export function useChangeFileWatch(id: string) {
  const client = useQueryClient();
  const { queryKey } = fileWatchQuery(id);
  return useMutation({
    mutationFn: ({ change, etag }: { change: FileWatchChange; etag: string }) =>
      unwrapVersioned(
        api.PUT("/api/v1/pipelines/{id}/file-watch", {
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
