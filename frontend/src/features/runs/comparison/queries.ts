import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { Run, RunRow } from "@/api/types";

/** A run and another run of its pipeline. */
export function comparisonQuery(id: string, other: string) {
  return queryOptions({
    queryKey: queryKeys.runs.comparison(id, other),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/runs/{id}/compare/{other}", { params: { path: { id, other } }, signal })),
  });
}

/** The newest successful run before this one, or null. Chunks of backfills and replays are not comparable with it. */
export function lastSuccessQuery({ id, pipeline, created_at }: Pick<Run, "id" | "pipeline" | "created_at">) {
  return queryOptions({
    queryKey: queryKeys.runs.lastSuccess(id),
    queryFn: async ({ signal }): Promise<RunRow | null> => {
      const query = { pipeline: pipeline.id, status: "succeeded" as const, until: created_at, limit: 20 };
      const page = await unwrap(api.GET("/api/v1/runs", { params: { query }, signal }));
      return page.results.find(isOrdinary) ?? null;
    },
    staleTime: Infinity, // no run before it can succeed any more, except a retry
  });
}

export function isOrdinary({ trigger }: Pick<RunRow, "trigger">): boolean {
  return trigger !== "backfill" && trigger !== "replay";
}
