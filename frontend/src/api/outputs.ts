import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "./client";
import { queryKeys } from "./query-keys";

/** The files that a run has published. */
export function outputsQuery(runId: string) {
  return queryOptions({
    queryKey: queryKeys.runs.outputs(runId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/runs/{id}/outputs", { params: { path: { id: runId } }, signal })),
  });
}
