import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { Pipeline } from "@/api/types";
import { definitionOf, type Draft } from "./draft";

const HOUR = 3_600_000; // milliseconds

export function streamsQuery(connectorId: string) {
  return queryOptions({
    queryKey: queryKeys.connectors.streams(connectorId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/connectors/{id}/streams", { params: { path: { id: connectorId } }, signal })),
    staleTime: HOUR,
    retry: false,
  });
}

/** Asks the source again, instead of the list that the server has stored. */
export function useRefreshStreams(connectorId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.GET("/api/v1/connectors/{id}/streams", {
          params: { path: { id: connectorId }, query: { refresh: true } },
        }),
      ),
    onSuccess: (found) => {
      client.setQueryData(streamsQuery(connectorId).queryKey, found);
      return client.invalidateQueries({ queryKey: queryKeys.connectors.allMatches(connectorId) });
    },
  });
}

export function usePreview() {
  return useMutation({
    mutationFn: (draft: Draft) =>
      unwrap(
        api.POST("/api/v1/pipelines/preview", { body: { config: definitionOf(draft), max_records: 10 } }),
      ),
  });
}

export function useCreatePipeline() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (draft: Draft): Promise<Pipeline> =>
      unwrap(
        api.POST("/api/v1/pipelines", {
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
          body: {
            name: draft.name.trim(),
            tags: draft.tags,
            schedule: draft.schedule,
            config: definitionOf(draft),
          },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: queryKeys.connectors.lists });
      return client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    },
  });
}
