import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "./client";
import { allPages } from "./pages";
import { queryKeys } from "./query-keys";

/** The channels to which alerts are sent. */
export const channelsQuery = queryOptions({
  queryKey: queryKeys.alerts.channels,
  queryFn: ({ signal }) =>
    allPages((cursor) =>
      unwrap(
        api.GET("/api/v1/alerts/channels", {
          params: { query: { limit: 200, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    ),
});

/** The rules whose scope has the pipeline. */
export function rulesForQuery(pipelineId: string) {
  return queryOptions({
    queryKey: queryKeys.alerts.rulesFor(pipelineId),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/api/v1/alerts/rules", { params: { query: { pipeline: pipelineId, limit: 200 } }, signal }),
      ),
  });
}

/** The kinds of rules. They change only with a release. */
export const ruleKindsQuery = queryOptions({
  queryKey: queryKeys.alertKinds("rules"),
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/alerts/kinds", { signal })),
  staleTime: Infinity,
});
