// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, waitFor } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { startSession } from "@/api/session";
import type { Session } from "@/api/types";
import { useOrgEvents } from "./org-events";

const encoder = new TextEncoder();
let controllers: ReadableStreamDefaultController<Uint8Array>[] = [];
let signals: AbortSignal[] = [];

function logIn(org: string) {
  startSession({
    access: "token",
    expires_in: 600,
    user: {},
    organization: { id: org },
  } as unknown as Session);
}

function answerWithStreams() {
  [controllers, signals] = [[], []];
  vi.stubGlobal("fetch", (request: Request) => {
    signals.push(request.signal);
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void controllers.push(controller) });
    return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
  });
}

function Follower() {
  useOrgEvents();
  return null;
}

function Page({ page }: { page: string }) {
  return (
    <QueryClientProvider client={client}>
      <Follower key={page} />
      <Follower />
    </QueryClientProvider>
  );
}

const client = new QueryClient();
afterEach(cleanup);

it("all components of a tab share one stream, also after a navigation, until the last one is gone", async () => {
  answerWithStreams();
  logIn("o1");
  const { rerender, unmount } = render(<Page page="overview" />);
  await waitFor(() => expect(controllers).toHaveLength(1));
  rerender(<Page page="runs" />);
  await Promise.resolve();
  expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  unmount();
  await waitFor(() => expect(signals[0]!.aborted).toBe(true));
});

it("another organization has a stream of its own", async () => {
  answerWithStreams();
  logIn("o1");
  render(<Page page="overview" />);
  await waitFor(() => expect(controllers).toHaveLength(1));
  act(() => logIn("o2"));
  await waitFor(() => expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]));
});

it("an event refreshes the overview and the lists", async () => {
  answerWithStreams();
  logIn("o1");
  const invalidate = vi.spyOn(client, "invalidateQueries");
  render(<Page page="overview" />);
  await waitFor(() => expect(controllers).toHaveLength(1));
  controllers[0]!.enqueue(encoder.encode("id: 1\nevent: run\ndata: {}\n\n"));
  await waitFor(() => expect(invalidate).toHaveBeenCalledWith({ queryKey: ["overview"] }), {
    timeout: 10_000,
  });
  expect(invalidate).toHaveBeenCalledWith({ queryKey: ["pipelines"] });
});
