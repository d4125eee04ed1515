import { useMutation, useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { queryKeys } from "@/api/query-keys";
import { refreshRuns, startRun } from "@/api/runs";
import type { PipelineRow, PipelineRowPage } from "@/api/types";

/** Starts a run. The list shows the run as waiting at once, and removes it again if the server refuses it. */
export function useStartRun() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: startRun,
    onMutate: async (id) => {
      await client.cancelQueries({ queryKey: queryKeys.pipelines.lists });
      const before = client.getQueriesData<InfiniteData<PipelineRowPage>>({
        queryKey: queryKeys.pipelines.lists,
      });
      const newRun = {
        id: "",
        status: "pending",
        kind: "ordinary",
        finished_at: null,
        records: null,
        duration_seconds: null,
      } as const;
      client.setQueriesData<InfiniteData<PipelineRowPage>>({ queryKey: queryKeys.pipelines.lists }, (data) =>
        withChangedRow(data, id, (row) => ({ ...row, last_run: newRun })),
      );
      return { before };
    },
    onError: (_error, _variables, context) =>
      context?.before.forEach(([key, data]) => client.setQueryData(key, data)),
    onSettled: () => refreshRuns(client),
  });
}

function withChangedRow(
  data: InfiniteData<PipelineRowPage> | undefined,
  id: string,
  change: (row: PipelineRow) => PipelineRow,
): InfiniteData<PipelineRowPage> | undefined {
  return (
    data && {
      ...data,
      pages: data.pages.map((page) => ({
        ...page,
        results: page.results.map((row) => (row.id === id ? change(row) : row)),
      })),
    }
  );
}
