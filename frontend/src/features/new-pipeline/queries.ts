import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refreshRuns, startRun } from "@/api/runs";
import type { Pipeline } from "@/api/types";
import { definitionOf, type Draft } from "./draft";

export function usePreview() {
  return useMutation({
    mutationFn: (draft: Draft) =>
      unwrap(
        api.POST("/api/v1/pipelines/preview", { body: { config: definitionOf(draft), max_records: 10 } }),
      ),
  });
}

/** The names of pipelines that contain the suggested name, which may be taken. */
export function similarNamesQuery(suggestion: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.similarNames(suggestion),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines", { params: { query: { q: suggestion, limit: 200 } }, signal })),
    select: ({ results }) => results.map(({ name }) => name),
  });
}

/** What a check of the draft could not compare with the source. Creating the pipeline shows its errors. */
export function uncheckedQuery(draft: Draft) {
  // A transform is checked when the pipeline is created. Here each of its letters would start a check.
  const body = { name: "New pipeline", config: definitionOf({ ...draft, transform: "" }) };
  return queryOptions({
    queryKey: queryKeys.pipelines.validation(body.config),
    queryFn: ({ signal }) => unwrap(api.POST("/api/v1/pipelines/validate", { body, signal })),
    select: ({ unchecked }) => unchecked,
    retry: false,
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

/** Starts the first run of a pipeline that was just created. */
export function useStartFirstRun() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: startRun,
    onSettled: () => refreshRuns(client),
  });
}
