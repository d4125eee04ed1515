import {
  infiniteQueryOptions,
  queryOptions,
  useMutation,
  useQueryClient,
  type InfiniteData,
} from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { transformsOf } from "@/api/definition";
import { queryKeys } from "@/api/query-keys";
import { isLive } from "@/api/run-status";
import type { Pipeline, PipelineChange, PipelineRow, PipelineRowPage, Run } from "@/api/types";
import { streamLimits } from "@/format/limits";
import type { PipelineFilter } from "./filter";

type PatchedStream = NonNullable<NonNullable<PipelineChange["config"]>["streams"]>[number];

// The list is also polled, because the event stream can fail.
const LIVE_POLL_INTERVAL = 5_000; // milliseconds, while a run in the list is live
const IDLE_POLL_INTERVAL = 30_000; // milliseconds, otherwise

export function pipelinesQuery(filter: PipelineFilter) {
  return infiniteQueryOptions({
    queryKey: queryKeys.pipelines.list(filter),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines", {
          params: { query: { ...filter, limit: 50, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: PipelineRowPage) => page.next,
    refetchInterval: ({ state }) => {
      const rows = state.data?.pages.flatMap((page) => page.results) ?? [];
      return rows.some((row) => row.last_run && isLive(row.last_run.status))
        ? LIVE_POLL_INTERVAL
        : IDLE_POLL_INTERVAL;
    },
  });
}

export function pipelineQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.one(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/pipelines/{id}", { params: { path: { id } }, signal })),
  });
}

export function versionsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.versions(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/versions", { params: { path: { id } }, signal })),
  });
}

/** Starts a run. The list shows the run as waiting at once, and removes it again if the server refuses it. */
export function useStartRun() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string): Promise<Run> =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/run", {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
          body: {},
        }),
      ),
    onMutate: async (id) => {
      await client.cancelQueries({ queryKey: queryKeys.pipelines.lists });
      const before = client.getQueriesData<InfiniteData<PipelineRowPage>>({
        queryKey: queryKeys.pipelines.lists,
      });
      const newRun = { id: "", status: "pending" as const, finished_at: null, records: null };
      client.setQueriesData<InfiniteData<PipelineRowPage>>({ queryKey: queryKeys.pipelines.lists }, (data) =>
        withChangedRow(data, id, (row) => ({ ...row, last_run: newRun })),
      );
      return { before };
    },
    onError: (_error, _variables, context) =>
      context?.before.forEach(([key, data]) => client.setQueryData(key, data)),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
      void client.invalidateQueries({ queryKey: queryKeys.runs.all });
    },
  });
}

function withChangedRow(
  data: InfiniteData<PipelineRowPage> | undefined,
  id: string,
  change: (row: PipelineRow) => PipelineRow,
): InfiniteData<PipelineRowPage> | undefined {
  return (
    data && {
      ...data,
      pages: data.pages.map((page) => ({
        ...page,
        results: page.results.map((row) => (row.id === id ? change(row) : row)),
      })),
    }
  );
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

/** Previews up to ten records of a saved pipeline with a transform that is not saved yet. */
export function usePreviewTransform(id: string) {
  return useMutation({
    mutationFn: (code: string) =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/preview", {
          params: { path: { id } },
          body: { max_records: 10, transforms: transformsOf(code) },
        }),
      ),
  });
}

/** Saves a new version. Calls `onSaved` before the page shows the version, because that unmounts the calling component. */
function useSaveStream<Value>(
  id: string,
  fieldsOf: (value: Value) => PatchedStream,
  onSaved: (pipeline: Pipeline) => void,
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (value: Value): Promise<Pipeline> =>
      unwrap(
        api.PATCH("/api/v1/pipelines/{id}", {
          params: { path: { id } },
          body: { config: { streams: [fieldsOf(value)] } },
        }),
      ),
    onSuccess: (pipeline) => {
      onSaved(pipeline);
      return client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    },
  });
}

export function useSaveTransform(id: string, onSaved: (pipeline: Pipeline) => void) {
  return useSaveStream(id, (code: string) => ({ transforms: transformsOf(code) }), onSaved);
}

export function useSaveLimits(id: string, onSaved: (pipeline: Pipeline) => void) {
  return useSaveStream(id, streamLimits, onSaved);
}
