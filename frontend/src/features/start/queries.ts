import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { nameTakenMessage } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { isLive } from "@/api/run-status";
import { refreshRuns, startRun } from "@/api/runs";
import type { Pipeline, Run } from "@/api/types";
import type { SampleName } from "@/components/start/samples";
import { startConfig, startName, type DestinationKind } from "./start";

const POLL_INTERVAL = 1_000; // milliseconds
const MAX_NAMES = 20;

/** Ten records of the sample. */
export function previewQuery(sample: SampleName) {
  const { source, streams } = startConfig(sample, "duckdb");
  return queryOptions({
    queryKey: queryKeys.samplePreview(sample),
    queryFn: ({ signal }) =>
      unwrap(
        api.POST("/api/v1/pipelines/preview", {
          body: { config: { source, streams }, max_records: 10 },
          signal,
        }),
      ),
    staleTime: Infinity,
  });
}

/** The run until it has ended. */
export function firstRunQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.runs.one(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/runs/{id}", { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data && !isLive(state.data.status) ? false : POLL_INTERVAL),
  });
}

interface Choice {
  sample: SampleName;
  destination: DestinationKind;
}

/** Creates the pipeline, and starts its first run. */
export function useCreateAndRun() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (choice: Choice): Promise<Run> => {
      const { id } = await createPipeline(choice);
      return startRun(id);
    },
    onSettled: () => refreshRuns(client),
  });
}

async function createPipeline({ sample, destination }: Choice): Promise<Pipeline> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await unwrap(
        api.POST("/api/v1/pipelines", {
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
          body: {
            name: startName(sample, destination, attempt),
            config: startConfig(sample, destination),
          },
        }),
      );
    } catch (error) {
      if (nameTakenMessage(error) === null || attempt === MAX_NAMES) throw error;
    }
  }
}
