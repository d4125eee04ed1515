import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { follow, type ServerEvent, type StreamState } from "@/api/event-stream";
import { authorizedFetch } from "@/api/session";
import type { LogLine, Run } from "@/api/types";
import { useTabVisible } from "@/components/visibility";
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
  failed: unknown = null;
  note = ""; // about lines that were removed for age

  constructor(
    private readonly runId: string,
    private readonly signal: AbortSignal,
  ) {}

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
    this.wanted = true;
    if (this.fetching) return;
    this.fetching = true;
    try {
      while (this.wanted && !this.signal.aborted) {
        this.wanted = false;
        await this.pages();
      }
      this.failed = null;
    } catch (error) {
      if (!this.signal.aborted) this.failed = error; // shown above the log with a way to try again
    } finally {
      this.fetching = false;
      this.changed();
    }
  }

  private async pages(): Promise<void> {
    while (!this.signal.aborted) {
      const page = await logPage(this.runId, this.book.end, this.signal);
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

/** Loads the log of the run and keeps run, progress and log current while the run is live. */
export function useLiveRun(runId: string, live: boolean): { log: LiveLog | null; stream: StreamState } {
  const client = useQueryClient();
  const [log, setLog] = useState<LiveLog | null>(null);
  const visible = useTabVisible();
  const [stream, setStream] = useState<StreamState>("closed");

  useEffect(() => {
    const abort = new AbortController();
    const fresh = new LiveLog(runId, abort.signal);
    setLog(fresh);
    void fresh.fetchRest();
    return () => abort.abort();
  }, [runId]);

  useEffect(() => {
    if (!live || !log || !visible) return;
    const abort = new AbortController();
    const key = runQuery(runId).queryKey;
    function onEvent({ event, data }: ServerEvent): "stop" | void {
      const body: unknown = JSON.parse(data);
      if (event === "run") {
        const run = body as Run;
        client.setQueryData(key, run);
        if (run.log_lines > log!.book.end) void log!.fetchRest();
      }
      if (event === "progress") client.setQueryData(key, (run) => withProgress(run, body));
      if (event === "log") {
        const batch = body as { first_line: number; lines: LogLine[] };
        log!.extend(batch.first_line, batch.lines);
      }
      return event === "end" ? "stop" : undefined;
    }
    const url = `/api/v1/runs/${runId}/events`;
    follow({ url, signal: abort.signal, fetch: authorizedFetch, onEvent, onState: setStream })
      .catch(() => undefined) // refused for good: what the run is, the query below says
      .then(() => {
        if (abort.signal.aborted) return;
        void client.invalidateQueries({ queryKey: key });
        void client.invalidateQueries({ queryKey: outputsQuery(runId).queryKey });
        void client.invalidateQueries({ queryKey: ["pipelines"] });
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
