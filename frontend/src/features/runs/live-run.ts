import { useQueryClient } from "@tanstack/react-query";
import type { EventSourceMessage } from "eventsource-parser";
import { useEffect, useState, useSyncExternalStore } from "react";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch } from "@/api/session";
import type { LogLine, Run } from "@/api/types";
import { follow, type StreamState } from "@/live/event-stream";
import { useTabVisible } from "@/live/visibility";
import { LogBook } from "./log-book";
import { logPage, outputsQuery, runQuery } from "./queries";

/** The log of one run while a page shows it: fetched from the start, then extended by the stream. */
export class LiveLog {
  readonly book = new LogBook();
  private version = 0;
  private fetching = false;
  private wanted = false;
  private painted = true;
  private listeners = new Set<() => void>();
  private abort = new AbortController();
  failed: unknown = null;
  note = ""; // about lines that were removed for age

  constructor(private readonly runId: string) {}

  /** Start fetching the log. Returns the function that stops it. */
  readonly start = () => {
    this.abort = new AbortController();
    this.fetching = false;
    void this.fetchRest();
    return () => this.abort.abort();
  };

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = () => this.version;

  extend(first: number, lines: LogLine[]): void {
    if (this.book.add(first, lines)) void this.fetchRest();
    this.changed();
  }

  /** Reads pages until there are no more; a call while one is under way makes it look again. */
  async fetchRest(): Promise<void> {
    const { signal } = this.abort;
    this.wanted = true;
    if (this.fetching) return;
    this.fetching = true;
    try {
      while (this.wanted && !signal.aborted) {
        this.wanted = false;
        await this.pages(signal);
      }
      this.failed = null;
    } catch (error) {
      if (!signal.aborted) this.failed = error; // shown above the log with a way to try again
    }
    if (signal.aborted) return;
    this.fetching = false;
    this.changed();
  }

  private async pages(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const page = await logPage(this.runId, this.book.end, signal);
      if (signal.aborted) return;
      this.book.begin(page.removed);
      this.note = page.note;
      this.book.add(Math.max(page.offset, page.removed), page.lines);
      this.changed();
      if (page.lines.length === 0 || page.next_offset === null) return;
    }
  }

  /** At most one repaint per frame, however many batches arrive in it. */
  private changed(): void {
    if (!this.painted) return;
    this.painted = false;
    requestAnimationFrame(() => {
      this.painted = true;
      this.version += 1;
      this.listeners.forEach((listener) => listener());
    });
  }
}

/**
 * Loads the log of the run and keeps run, progress and log current while the run is live.
 * A component must be mounted anew for another run.
 */
export function useLiveRun(runId: string, live: boolean): { log: LiveLog; stream: StreamState } {
  const client = useQueryClient();
  const [log] = useState(() => new LiveLog(runId));
  const visible = useTabVisible();
  const [stream, setStream] = useState<StreamState>("closed");

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
        if (run.log_lines > log.book.end) void log.fetchRest();
      }
      if (event === "progress") client.setQueryData(key, (run) => withProgress(run, body));
      if (event === "log") {
        const batch = body as { first_line: number; lines: LogLine[] };
        log.extend(batch.first_line, batch.lines);
      }
      return event === "end" ? "stop" : undefined;
    }
    const url = `/api/v1/runs/${runId}/events`;
    void follow({ url, signal: abort.signal, fetch: authorizedFetch, onEvent, onState: setStream })
      .catch(() => undefined) // refused for good: the query below still shows the run
      .then(() => {
        if (abort.signal.aborted) return;
        void client.invalidateQueries({ queryKey: key });
        void client.invalidateQueries({ queryKey: outputsQuery(runId).queryKey });
        void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
        void log.fetchRest();
      });
    return () => abort.abort();
  }, [runId, live, log, visible, client]);

  return { log, stream };
}

/** How many lines there are now; re-renders when it changes. */
export function useLogVersion(log: LiveLog): number {
  return useSyncExternalStore(log.subscribe, log.snapshot);
}

function withProgress(run: Run | undefined, body: unknown): Run | undefined {
  if (!run) return run;
  return { ...run, progress: { ...run.progress, ...(body as Partial<Run["progress"]>) } };
}
