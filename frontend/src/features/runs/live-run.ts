import { useQueryClient } from "@tanstack/react-query";
import type { EventSourceMessage } from "eventsource-parser";
import { useEffect, useState } from "react";
import { outputsQuery } from "@/api/outputs";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch } from "@/api/session";
import type { LogLine, Run } from "@/api/types";
import { followStream, type StreamState } from "@/live/event-stream";
import { useMayFollow } from "@/live/visibility";
import { runQuery } from "./queries";

type OnLines = (first: number, lines: LogLine[]) => void;

/** Hands the new lines of a live run to whoever shows its log. */
export class LogFeed {
  private listeners = new Set<OnLines>();

  readonly subscribe = (listener: OnLines) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  publish(first: number, lines: LogLine[]): void {
    this.listeners.forEach((listener) => listener(first, lines));
  }
}

/**
 * While the run is live, updates the run and its progress from the event stream, and hands on the new lines of its log.
 * Mount the component again (with another `key`) for another run.
 */
export function useLiveRun(runId: string, live: boolean): { feed: LogFeed; streamState: StreamState } {
  const client = useQueryClient();
  const [feed] = useState(() => new LogFeed());
  const mayFollow = useMayFollow();
  const [streamState, setStreamState] = useState<StreamState>("closed");

  useEffect(() => {
    if (!live || !mayFollow) return;
    const abort = new AbortController();
    const key = runQuery(runId).queryKey;
    function onEvent({ event, data }: EventSourceMessage): "stop" | void {
      const body: unknown = JSON.parse(data);
      if (event === "run") client.setQueryData(key, body as Run);
      if (event === "progress") client.setQueryData(key, (run) => withProgress(run, body));
      if (event === "streams") {
        client.setQueryData(key, (run) => run && { ...run, ...(body as Partial<Run>) });
        void client.invalidateQueries({ queryKey: queryKeys.runs.allStreams(runId) });
      }
      if (event === "log") {
        const batch = body as { first_line: number; lines: LogLine[] };
        feed.publish(batch.first_line, batch.lines);
      }
      return event === "end" ? "stop" : undefined;
    }
    const url = `/api/v1/runs/${runId}/events`;
    void followStream({ url, signal: abort.signal, fetch: authorizedFetch, onEvent, onState: setStreamState })
      .catch(() => undefined) // If the stream is refused, the queries below still update the page.
      .then(() => {
        if (abort.signal.aborted) return;
        void client.invalidateQueries({ queryKey: key });
        void client.invalidateQueries({ queryKey: outputsQuery(runId).queryKey });
        void client.invalidateQueries({ queryKey: queryKeys.runs.allStreams(runId) });
        void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
      });
    return () => abort.abort();
  }, [runId, live, feed, mayFollow, client]);

  return { feed, streamState };
}

function withProgress(run: Run | undefined, body: unknown): Run | undefined {
  if (!run) return run;
  return { ...run, progress: { ...run.progress, ...(body as Partial<Run["progress"]>) } };
}
