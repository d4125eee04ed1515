import { createParser, type EventSourceMessage } from "eventsource-parser";
import { OfflineError, ProblemError, type ResponseHeaders } from "@/api/problem";

export type StreamState = "connecting" | "live" | "waiting" | "closed";

interface FollowOptions {
  url: string;
  signal: AbortSignal;
  fetch: (request: Request) => Promise<Response>;
  /** Returns `"stop"` if this is the last event of the stream. */
  onEvent: (event: EventSourceMessage) => "stop" | void;
  onState?: (state: StreamState) => void;
  /** Called with the reason why a connection could not be opened. It is tried again. */
  onFailure?: (error: unknown) => void;
  /** Reconnect if no data was received for this many milliseconds. */
  timeout?: number;
  /** Returns the milliseconds to wait before reconnect number `attempt` since the last data, counted from 1. */
  backOff?: (attempt: number) => number;
}

/** The server refused the stream with a status for which a retry is useless, such as 403 or 404. */
export class StreamRefused extends ProblemError {
  constructor(status: number, headers: ResponseHeaders | null = null) {
    super(status, null, headers);
    this.name = "StreamRefused";
  }
}

/** Returns a wait that doubles from half a second up to 15 seconds, minus a random part of up to a third. */
export function defaultBackOff(attempt: number): number {
  return Math.min(15_000, 500 * 2 ** (attempt - 1)) * (1 - Math.random() / 3);
}

/**
 * Follow a stream until it ends or `signal` aborts. A lost connection is opened again after `backOff`, with
 * `Last-Event-ID`, so that no event is lost. Rejects with `StreamRefused` on a 4xx other than 408 and 429.
 */
export async function followStream(options: FollowOptions): Promise<void> {
  const { signal, onState, backOff = defaultBackOff } = options;
  const position: Position = { lastId: "", retry: null };
  let failures = 0;
  while (!signal.aborted) {
    onState?.("connecting");
    const outcome = await readConnection(options, position);
    if (outcome === "stop" || signal.aborted) break;
    failures = outcome === "progress" ? 1 : failures + 1;
    onState?.("waiting");
    await sleep(Math.max(backOff(failures), failures === 1 ? (position.retry ?? 0) : 0), signal);
  }
  onState?.("closed");
}

type Outcome = "stop" | "progress" | "no-data";

interface Position {
  lastId: string;
  /** Milliseconds to wait before reconnecting, if the server sent them. */
  retry: number | null;
}

async function readConnection(options: FollowOptions, position: Position): Promise<Outcome> {
  const { onEvent, onState, timeout = 45_000 } = options;
  const timeoutController = new AbortController();
  const watchdog = new Watchdog(timeout, () => timeoutController.abort());
  let outcome: Outcome = "no-data";
  try {
    const response = await openStream(options, position, timeoutController.signal);
    if (response === null) {
      if (!options.signal.aborted) options.onFailure?.(new OfflineError());
      return outcome;
    }
    const { status, headers } = response;
    if (isFinalRefusal(status)) throw new StreamRefused(status, headers);
    if (status === 204) return "stop";
    if (!response.ok || !response.body) {
      options.onFailure?.(new ProblemError(status, null, headers));
      return outcome;
    }
    onState?.("live");
    const events: EventSourceMessage[] = [];
    const parser = createParser({
      onEvent: (event) => events.push(event),
      onRetry: (milliseconds) => {
        position.retry = milliseconds;
      },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const chunk = await reader.read().catch(() => null); // connection lost; followStream reconnects
      if (chunk === null || chunk.done) return outcome;
      watchdog.restart();
      outcome = "progress";
      parser.feed(chunk.value);
      for (const event of events.splice(0)) {
        position.lastId = event.id ?? position.lastId;
        if (onEvent(event) === "stop") {
          await reader.cancel();
          return "stop";
        }
      }
    }
  } finally {
    watchdog.stop();
  }
}

/** Returns the response, or null if the network failed or the request was aborted. */
async function openStream(
  options: FollowOptions,
  position: Position,
  timeoutSignal: AbortSignal,
): Promise<Response | null> {
  const headers = new Headers({ Accept: "text/event-stream" });
  if (position.lastId) headers.set("Last-Event-ID", position.lastId);
  const url = new URL(options.url, globalThis.location?.href);
  const signal = AbortSignal.any([options.signal, timeoutSignal]);
  const request = new Request(url, { headers, cache: "no-store", signal });
  return options.fetch(request).catch(() => null);
}

function isFinalRefusal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** Calls `onTimeout` if `restart` is not called for `timeout` milliseconds. */
class Watchdog {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly timeout: number,
    private readonly onTimeout: () => void,
  ) {
    this.restart();
  }

  restart(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.onTimeout, this.timeout);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(finish, milliseconds);
    signal.addEventListener("abort", finish, { once: true });
    function finish() {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    }
  });
}
