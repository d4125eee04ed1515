import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refreshRuns, retryRun, startRun } from "@/api/runs";
import type { AttentionFix } from "@/api/types";
import type { OverviewFilter } from "./filter";

const HOUR = 3_600_000; // milliseconds
// The overview is also polled: the event stream can fail, and a pipeline becomes late without an event.
const POLL_INTERVAL = 30_000;

export const overviewQuery = queryOptions({
  queryKey: queryKeys.overview.summary,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/stats/overview", { signal })),
  refetchInterval: POLL_INTERVAL,
});

/** The runs of the shown part of the last day. The server returns at most 2,000, so a part may have more of them. */
export function timelineQuery({ q, status, hours, from, to }: OverviewFilter) {
  return queryOptions({
    queryKey: queryKeys.overview.timeline({ q, status, hours, from, to }),
    queryFn: ({ signal }) => {
      const since = from ?? (hours && new Date(Date.now() - hours * HOUR).toISOString());
      const query = {
        ...(q && { q }),
        ...(status && { status }),
        ...(since && { since }),
        ...(to && { until: to }),
      };
      return unwrap(api.GET("/api/v1/stats/timeline", { params: { query }, signal }));
    },
    refetchInterval: POLL_INTERVAL,
    placeholderData: keepPreviousData,
  });
}

/** Retries the run or starts the pipeline, as the fix says. Returns the run. */
export function useFix(fix: AttentionFix) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => (fix.action === "retry" ? retryRun : startRun)(fix.id ?? ""),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: queryKeys.overview.all });
      refreshRuns(client);
    },
  });
}
