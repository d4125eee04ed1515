import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { browserTimeZone } from "@/format/time";

/** The newest runs and the days of a pipeline, for charts. Days begin at midnight in the time zone of the browser. */
export function statisticsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.statistics(id),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/api/v1/stats/pipelines/{id}", {
          params: { path: { id }, query: { timezone: browserTimeZone(), runs: 60 } },
          signal,
        }),
      ),
  });
}

/** The ranges that are usual for a run, with which the rules for alerts compare it. */
export function usualQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.pipelines.usual(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/pipelines/{id}/usual", { params: { path: { id } }, signal })),
  });
}
