import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, unwrap } from "./client";
import { queryKeys } from "./query-keys";
import { isLive } from "./run-status";
import type { RunRowPage, RunStatus } from "./types";

const LIVE_POLL = 5_000; // milliseconds between polls of a list with live runs, because the event stream can fail

interface Filter {
  status?: RunStatus;
  pipeline?: string;
}

/** The runs of the organization, newest first. */
export function runsQuery(filter: Filter, limit = 50) {
  return infiniteQueryOptions({
    queryKey: queryKeys.runs.list(filter, limit),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/runs", {
          params: { query: { ...filter, limit, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: RunRowPage) => page.next,
    refetchInterval: ({ state }) => {
      const runs = state.data?.pages.flatMap((page) => page.results) ?? [];
      return runs.some((run) => isLive(run.status)) ? LIVE_POLL : false;
    },
  });
}
