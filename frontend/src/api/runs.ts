import { infiniteQueryOptions } from "@tanstack/react-query";
import { answer, api } from "./client";
import { queryKeys } from "./query-keys";
import { isLive } from "./run-status";
import type { RunRowPage, RunStatus } from "./types";

const LIVE_POLL = 5_000; // milliseconds between requests for a list with live runs, in case its stream fails

interface Filter {
  status?: RunStatus;
  pipeline?: string;
}

/** The runs of the organization, newest first. */
export function runsQuery(filter: Filter, limit = 50) {
  return infiniteQueryOptions({
    queryKey: queryKeys.runs.list(filter, limit),
    queryFn: ({ pageParam, signal }) =>
      answer(
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
