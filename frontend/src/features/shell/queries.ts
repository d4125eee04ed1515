import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refreshRuns, startRun } from "@/api/runs";

const ROWS_PER_KIND = 5;

/** The first objects of each kind whose name contains the text. Without a text nothing is asked. */
export function paletteQuery(q: string) {
  return queryOptions({
    queryKey: queryKeys.palette(q),
    queryFn: async ({ signal }) => {
      const options = { params: { query: { q, limit: ROWS_PER_KIND } }, signal };
      const [pipelines, connectors, sources, files] = await Promise.all([
        unwrap(api.GET("/api/v1/pipelines", options)),
        unwrap(api.GET("/api/v1/connectors", options)),
        unwrap(api.GET("/api/v1/custom-sources", options)),
        unwrap(api.GET("/api/v1/files", options)),
      ]);
      return {
        pipelines: pipelines.results,
        connectors: connectors.results,
        sources: sources.results,
        files: files.results,
      };
    },
    enabled: q !== "",
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });
}

export function useRunPipeline() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: startRun,
    onSuccess: () => refreshRuns(client),
  });
}
