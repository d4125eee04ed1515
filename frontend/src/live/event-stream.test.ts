import { describe, expect, it, vi } from "vitest";
import { defaultBackOff, followStream, StreamRefused } from "./event-stream";

function streamResponse(...chunks: (string | Uint8Array)[]): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      }
      controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

describe("following a stream", () => {
  const makeFetch = (responses: (() => Promise<Response>)[]) => {
    const requests: Request[] = [];
    const fetch = vi.fn((request: Request) => {
      requests.push(request);
      return (responses.shift() ?? (() => Promise.reject(new Error("no more responses"))))();
    });
    return { fetch, requests };
  };
  const baseOptions = () => ({
    url: "http://drover.test/events",
    signal: new AbortController().signal,
    backOff: () => 0,
  });

  it("reconnects with the last id after a lost connection, and receives each event once", async () => {
    const { fetch, requests } = makeFetch([
      async () => streamResponse("id: 1\ndata: a\n\nid: 2\nda"),
      async () => new Response("bad gateway", { status: 502 }),
      () => Promise.reject(new TypeError("network")),
      async () => streamResponse("id: 2\ndata: b\n\n", "id: 3\nevent: end\ndata: {}\n\n"),
    ]);
    const received: string[] = [];
    const states: string[] = [];
    await followStream({
      ...baseOptions(),
      fetch,
      onEvent: (event) => {
        received.push(event.data);
        return event.event === "end" ? "stop" : undefined;
      },
      onState: (state) => states.push(state),
    });
    expect(received).toEqual(["a", "b", "{}"]);
    expect(requests.map((request) => request.headers.get("Last-Event-ID"))).toEqual([null, "1", "1", "1"]);
    expect(states.filter((state) => state === "live")).toHaveLength(2);
    expect(states.at(-1)).toBe("closed");
  });

  it("keeps the last id if an event has no id", async () => {
    const { fetch, requests } = makeFetch([
      async () => streamResponse("id: 7\ndata: a\n\ndata: b\n\n"),
      async () => streamResponse("event: end\ndata: x\n\n"),
    ]);
    await followStream({
      ...baseOptions(),
      fetch,
      onEvent: ({ event }) => (event === "end" ? "stop" : undefined),
    });
    expect(requests.map((request) => request.headers.get("Last-Event-ID"))).toEqual([null, "7"]);
  });

  it("waits for the time that the server sent before it reconnects", async () => {
    const { fetch } = makeFetch([
      async () => streamResponse("retry: 40\n\n: heartbeat\n\ndata: a\n\n"),
      async () => streamResponse("event: end\ndata: x\n\n"),
    ]);
    const start = performance.now();
    await followStream({
      ...baseOptions(),
      fetch,
      onEvent: ({ event }) => (event === "end" ? "stop" : undefined),
    });
    expect(performance.now() - start).toBeGreaterThanOrEqual(39);
  });

  it("decodes a character whose bytes are in different chunks", async () => {
    const encodedEvents = new TextEncoder().encode("data: é𝄞\n\nevent: end\ndata: x\n\n");
    const pieces = Array.from(encodedEvents, (byte) => Uint8Array.of(byte));
    const received: string[] = [];
    await followStream({
      ...baseOptions(),
      fetch: makeFetch([async () => streamResponse(...pieces)]).fetch,
      onEvent: (event) => {
        received.push(event.data);
        return event.event === "end" ? "stop" : undefined;
      },
    });
    expect(received).toEqual(["é𝄞", "x"]);
  });

  it.each([401, 403, 404])("does not reconnect after status %s", async (status) => {
    const { fetch } = makeFetch([async () => new Response(null, { status })]);
    await expect(followStream({ ...baseOptions(), fetch, onEvent: () => undefined })).rejects.toEqual(
      new StreamRefused(status),
    );
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("reconnects after 429 and after server errors", async () => {
    const { fetch } = makeFetch([
      async () => new Response(null, { status: 429 }),
      async () => new Response(null, { status: 503 }),
      async () => streamResponse("event: end\ndata: x\n\n"),
    ]);
    await followStream({ ...baseOptions(), fetch, onEvent: () => "stop" });
    expect(fetch).toHaveBeenCalledTimes(3);
  });

  it("reconnects if no data is received within the timeout", async () => {
    const neverRespond = (request: Request) =>
      new Promise<Response>((_, reject) =>
        request.signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))),
      );
    const responses = [neverRespond, async () => streamResponse("event: end\ndata: x\n\n")];
    const fetch = vi.fn((request: Request) => responses.shift()!(request));
    await followStream({ ...baseOptions(), fetch, timeout: 10, onEvent: () => "stop" });
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it("stops at once on abort, even while it waits to reconnect", async () => {
    const abort = new AbortController();
    const fetch = vi.fn(async () => new Response(null, { status: 503 }));
    const followPromise = followStream({
      ...baseOptions(),
      signal: abort.signal,
      backOff: () => 60_000,
      fetch,
      onEvent: () => undefined,
      onState: (state) => state === "waiting" && abort.abort(),
    });
    await followPromise;
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("rejects with an error that the event handler throws", async () => {
    const { fetch } = makeFetch([async () => streamResponse("data: x\n\n")]);
    const failingHandler = () => {
      throw new TypeError("handler failed");
    };
    await expect(followStream({ ...baseOptions(), fetch, onEvent: failingHandler })).rejects.toThrow(
      "handler failed",
    );
  });

  it("doubles the wait before each reconnect, up to 15 seconds", () => {
    const random = vi.spyOn(Math, "random").mockReturnValue(0);
    expect([1, 2, 3, 6, 20].map(defaultBackOff)).toEqual([500, 1000, 2000, 15_000, 15_000]);
    random.mockRestore();
  });
});
