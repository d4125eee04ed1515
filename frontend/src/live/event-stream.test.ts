import { describe, expect, it, vi } from "vitest";
import { defaultBackOff, follow, StreamRefused } from "./event-stream";

function streamed(...chunks: (string | Uint8Array)[]): Response {
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
  const at = (answers: (() => Promise<Response>)[]) => {
    const requests: Request[] = [];
    const fetch = vi.fn((request: Request) => {
      requests.push(request);
      return (answers.shift() ?? (() => Promise.reject(new Error("no more answers"))))();
    });
    return { fetch, requests };
  };
  const base = () => ({
    url: "http://drover.test/events",
    signal: new AbortController().signal,
    backOff: () => 0,
  });

  it("reconnects with the last id after a cut and loses and doubles nothing", async () => {
    const { fetch, requests } = at([
      async () => streamed("id: 1\ndata: a\n\nid: 2\nda"),
      async () => new Response("bad gateway", { status: 502 }),
      () => Promise.reject(new TypeError("network")),
      async () => streamed("id: 2\ndata: b\n\n", "id: 3\nevent: end\ndata: {}\n\n"),
    ]);
    const seen: string[] = [];
    const states: string[] = [];
    await follow({
      ...base(),
      fetch,
      onEvent: (event) => {
        seen.push(event.data);
        return event.event === "end" ? "stop" : undefined;
      },
      onState: (state) => states.push(state),
    });
    expect(seen).toEqual(["a", "b", "{}"]);
    expect(requests.map((request) => request.headers.get("Last-Event-ID"))).toEqual([null, "1", "1", "1"]);
    expect(states.filter((state) => state === "live")).toHaveLength(2);
    expect(states.at(-1)).toBe("closed");
  });

  it("an event without an id leaves the place of the one before it", async () => {
    const { fetch, requests } = at([
      async () => streamed("id: 7\ndata: a\n\ndata: b\n\n"),
      async () => streamed("event: end\ndata: x\n\n"),
    ]);
    await follow({ ...base(), fetch, onEvent: ({ event }) => (event === "end" ? "stop" : undefined) });
    expect(requests.map((request) => request.headers.get("Last-Event-ID"))).toEqual([null, "7"]);
  });

  it("waits as long as the server asks before it reconnects", async () => {
    const { fetch } = at([
      async () => streamed("retry: 40\n\n: heartbeat\n\ndata: a\n\n"),
      async () => streamed("event: end\ndata: x\n\n"),
    ]);
    const began = performance.now();
    await follow({ ...base(), fetch, onEvent: ({ event }) => (event === "end" ? "stop" : undefined) });
    expect(performance.now() - began).toBeGreaterThanOrEqual(39);
  });

  it("joins a character whose bytes were split between chunks", async () => {
    const wire = new TextEncoder().encode("data: é𝄞\n\nevent: end\ndata: x\n\n");
    const pieces = Array.from(wire, (byte) => Uint8Array.of(byte));
    const seen: string[] = [];
    await follow({
      ...base(),
      fetch: at([async () => streamed(...pieces)]).fetch,
      onEvent: (event) => {
        seen.push(event.data);
        return event.event === "end" ? "stop" : undefined;
      },
    });
    expect(seen).toEqual(["é𝄞", "x"]);
  });

  it.each([401, 403, 404])("gives up when the server says %s", async (status) => {
    const { fetch } = at([async () => new Response(null, { status })]);
    await expect(follow({ ...base(), fetch, onEvent: () => undefined })).rejects.toEqual(
      new StreamRefused(status),
    );
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("keeps trying on 429 and on server errors", async () => {
    const { fetch } = at([
      async () => new Response(null, { status: 429 }),
      async () => new Response(null, { status: 503 }),
      async () => streamed("event: end\ndata: x\n\n"),
    ]);
    await follow({ ...base(), fetch, onEvent: () => "stop" });
    expect(fetch).toHaveBeenCalledTimes(3);
  });

  it("takes silence for a dead connection and opens another", async () => {
    const silent = (request: Request) =>
      new Promise<Response>((_, reject) =>
        request.signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))),
      );
    const answers = [silent, async () => streamed("event: end\ndata: x\n\n")];
    const fetch = vi.fn((request: Request) => answers.shift()!(request));
    await follow({ ...base(), fetch, silence: 10, onEvent: () => "stop" });
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it("an abort ends it at once, also while waiting to reconnect", async () => {
    const abort = new AbortController();
    const fetch = vi.fn(async () => new Response(null, { status: 503 }));
    const done = follow({
      ...base(),
      signal: abort.signal,
      backOff: () => 60_000,
      fetch,
      onEvent: () => undefined,
      onState: (state) => state === "waiting" && abort.abort(),
    });
    await done;
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("a fault in the page's own handler is not taken for a network fault", async () => {
    const { fetch } = at([async () => streamed("data: x\n\n")]);
    const broken = () => {
      throw new TypeError("page fault");
    };
    await expect(follow({ ...base(), fetch, onEvent: broken })).rejects.toThrow("page fault");
  });

  it("waits longer each time, up to fifteen seconds", () => {
    const random = vi.spyOn(Math, "random").mockReturnValue(0);
    expect([1, 2, 3, 6, 20].map(defaultBackOff)).toEqual([500, 1000, 2000, 15_000, 15_000]);
    random.mockRestore();
  });
});
