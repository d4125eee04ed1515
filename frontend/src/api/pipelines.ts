import { queryOptions } from "@tanstack/react-query";
import { api, unwrapVersioned } from "./client";
import { queryKeys } from "./query-keys";

/** A pipeline with its ETag. */
export function pipelineQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.one(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/pipelines/{id}", { params: { path: { id } }, signal })),
  });
}
