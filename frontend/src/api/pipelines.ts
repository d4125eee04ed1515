import { queryOptions } from "@tanstack/react-query";
import { api, unwrap, unwrapVersioned } from "./client";
import { queryKeys } from "./query-keys";

/** A pipeline with its ETag. */
export function pipelineQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.one(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/pipelines/{id}", { params: { path: { id } }, signal })),
  });
}

const MAX_PIPELINES = 1000; // that the API returns at once

/** The pipelines that a user can choose from, by name. */
export const pipelineNamesQuery = queryOptions({
  queryKey: queryKeys.pipelineNames,
  queryFn: ({ signal }) =>
    unwrap(
      api.GET("/api/v1/pipelines", { params: { query: { order: "name", limit: MAX_PIPELINES } }, signal }),
    ),
  select: ({ results }) => results.map(({ id, name }) => ({ id, name })),
  staleTime: 60_000,
});
