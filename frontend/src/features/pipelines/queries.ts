import {
  infiniteQueryOptions,
  queryOptions,
  useMutation,
  useQueryClient,
  type QueryClient,
} from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap, unwrapVersioned, type Versioned } from "@/api/client";
import { forgetDeleted } from "@/api/deletion";
import { pipelineQuery } from "@/api/pipelines";
import { ProblemError } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { Pipeline, PipelineChange } from "@/api/types";

export function versionsQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: queryKeys.pipelines.versions(id),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines/{id}/versions", {
          params: { path: { id }, query: { limit: 50, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: ({ next }) => next,
  });
}

/** What a version has changed. A version never changes, so its changes are fetched once. */
export function diffQuery(id: string, number: number) {
  return queryOptions({
    queryKey: queryKeys.pipelines.diff(id, number),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines/{id}/versions/{number}/diff", {
          params: { path: { id, number } },
          signal,
        }),
      ),
    staleTime: Infinity,
  });
}

export function useSetEnabled(id: string) {
  const client = useQueryClient();
  const key = pipelineQuery(id).queryKey; // this key has the type of the query's data
  return useMutation({
    mutationFn: (enabled: boolean): Promise<Pipeline> => {
      const options = { params: { path: { id } } };
      return enabled
        ? unwrap(api.POST("/api/v1/pipelines/{id}/enable", options))
        : unwrap(api.POST("/api/v1/pipelines/{id}/disable", options));
    },
    onMutate: async (enabled) => {
      await client.cancelQueries({ queryKey: key });
      const before = client.getQueryData(key);
      client.setQueryData(key, (pipeline) => pipeline && { ...pipeline, enabled });
      return { before };
    },
    onError: (_error, _enabled, context) => client.setQueryData(key, context?.before),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.all }),
  });
}

/** Changes the pipeline if it is still as the caller has seen it. Otherwise the server answers 412. */
export function useChangePipeline(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ change, etag }: { change: PipelineChange; etag: string }) =>
      unwrapVersioned(
        api.PATCH("/api/v1/pipelines/{id}", {
          params: { path: { id }, header: { "If-Match": etag } },
          body: change,
        }),
      ),
    onSuccess: (pipeline) => {
      client.setQueryData(pipelineQuery(id).queryKey, pipeline);
      return client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    },
    onError: (error) => refetchIfChanged(client, id, error),
  });
}

/** After a 412, fetches the pipeline again, so that the page shows what somebody else has saved. */
async function refetchIfChanged(client: QueryClient, id: string, error: unknown): Promise<void> {
  if (error instanceof ProblemError && error.status === 412)
    await client.refetchQueries({ queryKey: queryKeys.pipelines.one(id), exact: true });
}

export function useRestoreVersion(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ number, etag }: { number: number; etag: string }): Promise<Pipeline> =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/versions/{number}/restore", {
          params: { path: { id, number }, header: { "If-Match": etag } },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.all }),
    onError: (error) => refetchIfChanged(client, id, error),
  });
}

export function useDuplicatePipeline(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (name: string): Promise<Pipeline> =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/duplicate", {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
          body: { name },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.all }),
  });
}

export function useDeletePipeline({ id, etag }: Versioned<Pipeline>, leavePage: () => Promise<void>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.DELETE("/api/v1/pipelines/{id}", { params: { path: { id }, header: { "If-Match": etag } } }),
      ),
    onSuccess: () =>
      forgetDeleted(client, {
        deleted: queryKeys.pipelines.one(id),
        refreshed: queryKeys.pipelines.lists,
        leavePage,
      }),
    onError: (error) => refetchIfChanged(client, id, error),
  });
}

/** Pauses the schedule with a note, or resumes it if the note is null. */
export function usePauseSchedule(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (note: string | null): Promise<Pipeline> => {
      const params = { path: { id } };
      return note === null
        ? unwrap(api.POST("/api/v1/pipelines/{id}/schedule/resume", { params }))
        : unwrap(api.POST("/api/v1/pipelines/{id}/schedule/pause", { params, body: { note } }));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.all }),
  });
}

export type StreamFilter = { state?: "included" | "waiting" | "ignored"; missing?: boolean };

/** The first streams of the pipeline in this state, and how many there are in each. */
export function streamsOfPipelineQuery(id: string, filter: StreamFilter) {
  return queryOptions({
    queryKey: queryKeys.pipelines.streamsIn(id, filter),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/streams", { params: { path: { id }, query: filter }, signal })),
  });
}

/** Adds or ignores streams that the patterns have found. */
export function useDecideStreams(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { decision: "add" | "ignore"; streams: string[] }) =>
      unwrap(api.POST("/api/v1/pipelines/{id}/streams/decide", { params: { path: { id } }, body })),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.all }),
  });
}
