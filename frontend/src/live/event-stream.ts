import { createParser, type EventSourceMessage } from "eventsource-parser";

export type StreamState = "connecting" | "live" | "waiting" | "closed";

interface FollowOptions {
  url: string;
  signal: AbortSignal;
  fetch: (request: Request) => Promise<Response>;
  /** Answer `"stop"` when the event says nothing more will come. */
  onEvent: (event: EventSourceMessage) => "stop" | void;
  onState?: (state: StreamState) => void;
  /** Silence longer than this many milliseconds counts as a dead connection. */
  silence?: number;
  /** Milliseconds before reconnect number `attempt`, counted from 1. */
  backOff?: (attempt: number) => number;
}

/** The server refused the stream for good, for example with 403 or 404. Another request would be refused too. */
export class StreamRefused extends Error {
  constructor(readonly status: number) {
    super(`The live view was refused (${status}).`);
    this.name = "StreamRefused";
  }
}

/** Doubles from half a second to fifteen, with up to a third taken off at random. */
export function defaultBackOff(attempt: number): number {
  return Math.min(15_000, 500 * 2 ** (attempt - 1)) * (1 - Math.random() / 3);
}

/**
 * Follow a stream until it ends or `signal` aborts: reconnects with `Last-Event-ID`, so that
 * nothing is lost, after `backOff`. Rejects with `StreamRefused` on a final 4xx.
 */
export async function follow(options: FollowOptions): Promise<void> {
  const { signal, onState, backOff = defaultBackOff } = options;
  const place: Place = { lastId: "", retry: null };
  let failures = 0;
  while (!signal.aborted) {
    onState?.("connecting");
    const outcome = await connection(options, place);
    if (outcome === "stop" || signal.aborted) break;
    failures = outcome === "progress" ? 1 : failures + 1;
    onState?.("waiting");
    await pause(Math.max(backOff(failures), failures === 1 ? (place.retry ?? 0) : 0), signal);
  }
  onState?.("closed");
}

type Outcome = "stop" | "progress" | "nothing";

interface Place {
  lastId: string;
  /** Milliseconds the server asks to wait before reconnecting. */
  retry: number | null;
}

async function connection(options: FollowOptions, place: Place): Promise<Outcome> {
  const { onEvent, onState, silence = 45_000 } = options;
  const dead = new AbortController();
  const watchdog = new Watchdog(silence, () => dead.abort());
  let outcome: Outcome = "nothing";
  try {
    const response = await open(options, place, dead.signal);
    if (response === null) return outcome;
    if (isFinal(response.status)) throw new StreamRefused(response.status);
    if (response.status === 204) return "stop";
    if (!response.ok || !response.body) return outcome;
    onState?.("live");
    const arrived: EventSourceMessage[] = [];
    const parser = createParser({
      onEvent: (event) => arrived.push(event),
      onRetry: (milliseconds) => {
        place.retry = milliseconds;
      },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const chunk = await reader.read().catch(() => null); // cut off: the loop reconnects
      if (chunk === null || chunk.done) return outcome;
      watchdog.feed();
      outcome = "progress";
      parser.feed(chunk.value);
      for (const event of arrived.splice(0)) {
        place.lastId = event.id ?? place.lastId;
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

/** Null when the network failed or the connection was aborted. */
async function open(options: FollowOptions, place: Place, dead: AbortSignal): Promise<Response | null> {
  const headers = new Headers({ Accept: "text/event-stream" });
  if (place.lastId) headers.set("Last-Event-ID", place.lastId);
  const address = new URL(options.url, globalThis.location?.href);
  const signal = AbortSignal.any([options.signal, dead]);
  const request = new Request(address, { headers, cache: "no-store", signal });
  return options.fetch(request).catch(() => null);
}

function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

class Watchdog {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly silence: number,
    private readonly onSilence: () => void,
  ) {
    this.feed();
  }

  feed(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.onSilence, this.silence);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
