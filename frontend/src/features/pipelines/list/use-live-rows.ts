import { useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { queryKeys } from "@/api/query-keys";
import { isLive } from "@/api/run-status";
import type { PipelineRow, PipelineRowPage, RecentRun, RunRow } from "@/api/types";
import { useOrgEvents } from "@/live/org-events";

const BATCH_TIME = 250; // milliseconds in which events are collected, so that many of them change the list once
const REFRESH_TIME = 10_000; // milliseconds; after runs have ended, the server's answers are fetched at most this often
const MAX_RUNS = 14;

interface RunsOfPipelines {
  results: { pipeline_id: string; runs: RecentRun[] }[];
}

/** Changes the rows of the list by the events of runs, and fetches what the events do not say now and then. */
export function useLiveRows(): void {
  const client = useQueryClient();
  const collected = useRef(new Map<string, RunRow>()); // the newest state of each pipeline's run
  const timers = useRef<Record<"batch" | "refresh", ReturnType<typeof setTimeout> | undefined>>({
    batch: undefined,
    refresh: undefined,
  });
  useEffect(() => {
    const { current } = timers;
    return () => {
      clearTimeout(current.batch);
      clearTimeout(current.refresh);
    };
  }, []);

  function applyBatch() {
    timers.current.batch = undefined;
    const runs = collected.current;
    collected.current = new Map();
    changeRows(client, runs);
    changeRecentRuns(client, runs);
    const hasEnded = [...runs.values()].some(({ status }) => !isLive(status));
    if (hasEnded) timers.current.refresh ??= setTimeout(refresh, REFRESH_TIME);
  }
  function refresh() {
    timers.current.refresh = undefined;
    void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    void client.invalidateQueries({ queryKey: queryKeys.runs.lists });
  }
  useOrgEvents((run) => {
    if (run.kind !== "ordinary") {
      // Only the server knows whether the list shows a backfill or a replay as the last run.
      timers.current.refresh ??= setTimeout(refresh, REFRESH_TIME);
      return;
    }
    collected.current.set(run.pipeline.id, run);
    timers.current.batch ??= setTimeout(applyBatch, BATCH_TIME);
  });
}

function changeRows(client: QueryClient, runs: ReadonlyMap<string, RunRow>) {
  client.setQueriesData<InfiniteData<PipelineRowPage>>({ queryKey: queryKeys.pipelines.lists }, (data) => {
    if (!data) return data;
    const pages = data.pages.map((page) => ({
      ...page,
      results: page.results.map((row) => withRun(row, runs.get(row.id))),
    }));
    return { ...data, pages };
  });
}

function withRun(row: PipelineRow, run: RunRow | undefined): PipelineRow {
  if (!run) return row;
  const { id, status, finished_at } = run;
  const records = isLive(status) ? null : run.progress.written;
  const duration_seconds = isLive(status) ? null : run.duration_seconds;
  return { ...row, last_run: { id, status, kind: "ordinary", finished_at, records, duration_seconds } };
}

function changeRecentRuns(client: QueryClient, runs: ReadonlyMap<string, RunRow>) {
  client.setQueriesData<RunsOfPipelines>({ queryKey: queryKeys.pipelines.allRecentRuns }, (data) => {
    if (!data?.results.some(({ pipeline_id }) => runs.has(pipeline_id))) return data;
    const results = data.results.map((entry) => {
      const run = runs.get(entry.pipeline_id);
      return run ? { ...entry, runs: withRecentRun(entry.runs, run) } : entry;
    });
    return { ...data, results };
  });
}

function withRecentRun(runs: RecentRun[], run: RunRow): RecentRun[] {
  const { id, status, created_at, duration_seconds, progress } = run;
  const changed = { id, status, created_at, duration_seconds, records: progress.written };
  const isKnown = runs.some((known) => known.id === id);
  if (isKnown) return runs.map((known) => (known.id === id ? changed : known));
  return [changed, ...runs].slice(0, MAX_RUNS);
}
