import { useQueryClient } from "@tanstack/react-query";
import type { EventSourceMessage } from "eventsource-parser";
import { useEffect, useState, useSyncExternalStore } from "react";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch } from "@/api/session";
import type { LogLine, Run } from "@/api/types";
import { followStream, type StreamState } from "@/live/event-stream";
import { useTabVisible } from "@/live/visibility";
import { LogBuffer } from "./log-buffer";
import { fetchLogPage, outputsQuery, runQuery } from "./queries";

/** The log of one run on its page. It is fetched from the first line on, and the event stream adds new lines. */
export class LiveLog {
  readonly buffer = new LogBuffer();
  private version = 0;
  private fetching = false;
  private fetchRequested = false;
  private repaintScheduled = false;
  private listeners = new Set<() => void>();
  private abort = new AbortController();
  error: unknown = null;
  note = ""; // the server's note about lines that were removed by retention

  constructor(private readonly runId: string) {}

  /** Start fetching the log. Returns a function that stops fetching. */
  readonly start = () => {
    this.abort = new AbortController();
    this.fetching = false;
    void this.fetchRemainingLines();
    return () => this.abort.abort();
  };

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getVersion = () => this.version;

  addLines(first: number, lines: LogLine[]): void {
    if (this.buffer.add(first, lines)) void this.fetchRemainingLines();
    this.scheduleRepaint();
  }

  /** Fetch pages until there are no more lines. If a fetch is already running, it checks once more at its end. */
  async fetchRemainingLines(): Promise<void> {
    const { signal } = this.abort;
    this.fetchRequested = true;
    if (this.fetching) return;
    this.fetching = true;
    try {
      while (this.fetchRequested && !signal.aborted) {
        this.fetchRequested = false;
        await this.fetchPages(signal);
      }
      this.error = null;
    } catch (error) {
      if (!signal.aborted) this.error = error; // shown above the log, with a retry button
    }
    if (signal.aborted) return;
    this.fetching = false;
    this.scheduleRepaint();
  }

  private async fetchPages(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const page = await fetchLogPage(this.runId, this.buffer.end, signal);
      if (signal.aborted) return;
      this.buffer.setStart(page.removed);
      this.note = page.note;
      this.buffer.add(Math.max(page.offset, page.removed), page.lines);
      this.scheduleRepaint();
      if (page.lines.length === 0 || page.next_offset === null) return;
    }
  }

  /** Render the log again, at most once per frame. */
  private scheduleRepaint(): void {
    if (this.repaintScheduled) return;
    this.repaintScheduled = true;
    requestAnimationFrame(() => {
      this.repaintScheduled = false;
      this.version += 1;
      this.listeners.forEach((listener) => listener());
    });
  }
}

/**
 * Loads the log of the run. While the run is live, updates the run, its progress and its log from the event stream.
 * Mount the component again (with another `key`) for another run.
 */
export function useLiveRun(runId: string, live: boolean): { log: LiveLog; streamState: StreamState } {
  const client = useQueryClient();
  const [log] = useState(() => new LiveLog(runId));
  const visible = useTabVisible();
  const [streamState, setStreamState] = useState<StreamState>("closed");

  useEffect(() => log.start(), [log]);

  useEffect(() => {
    if (!live || !visible) return;
    const abort = new AbortController();
    const key = runQuery(runId).queryKey;
    function onEvent({ event, data }: EventSourceMessage): "stop" | void {
      const body: unknown = JSON.parse(data);
      if (event === "run") {
        const run = body as Run;
        client.setQueryData(key, run);
        if (run.log_lines > log.buffer.end) void log.fetchRemainingLines();
      }
      if (event === "progress") client.setQueryData(key, (run) => withProgress(run, body));
      if (event === "streams") {
        client.setQueryData(key, (run) => run && { ...run, ...(body as Partial<Run>) });
        void client.invalidateQueries({ queryKey: queryKeys.runs.allStreams(runId) });
      }
      if (event === "log") {
        const batch = body as { first_line: number; lines: LogLine[] };
        log.addLines(batch.first_line, batch.lines);
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
        void log.fetchRemainingLines();
      });
    return () => abort.abort();
  }, [runId, live, log, visible, client]);

  return { log, streamState };
}

/** Renders the component again whenever the log has changed. */
export function useRenderOnChange(log: LiveLog): void {
  useSyncExternalStore(log.subscribe, log.getVersion);
}

function withProgress(run: Run | undefined, body: unknown): Run | undefined {
  if (!run) return run;
  return { ...run, progress: { ...run.progress, ...(body as Partial<Run["progress"]>) } };
}
