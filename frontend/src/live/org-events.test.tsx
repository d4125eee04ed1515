// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, waitFor } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { http as untyped, HttpResponse } from "msw";
import { startSession } from "@/api/session";
import type { Session } from "@/api/types";
import { part, startServer } from "@/test-server";
import { useOrgEvents } from "./org-events";

const encoder = new TextEncoder();
let controllers: ReadableStreamDefaultController<Uint8Array>[] = [];
let signals: AbortSignal[] = [];

function enter(org: string) {
  startSession(part<Session>({ access: "token", expires_in: 600, user: {}, organization: { id: org } }));
}

const server = startServer();

function answerWithStreams() {
  [controllers, signals] = [[], []];
  server.use(
    untyped.get("*/api/v1/events", ({ request }) => {
      signals.push(request.signal);
      const start = (controller: ReadableStreamDefaultController<Uint8Array>) =>
        void controllers.push(controller);
      const headers = { "Content-Type": "text/event-stream" };
      return new HttpResponse(new ReadableStream<Uint8Array>({ start }), { headers });
    }),
  );
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
  enter("o1");
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
  enter("o1");
  render(<Page page="overview" />);
  await waitFor(() => expect(controllers).toHaveLength(1));
  act(() => enter("o2"));
  await waitFor(() => expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]));
});

it("an event refreshes the overview and the lists", async () => {
  answerWithStreams();
  enter("o1");
  const invalidate = vi.spyOn(client, "invalidateQueries");
  render(<Page page="overview" />);
  await waitFor(() => expect(controllers).toHaveLength(1));
  controllers[0]!.enqueue(encoder.encode("id: 1\nevent: run\ndata: {}\n\n"));
  await waitFor(() => expect(invalidate).toHaveBeenCalledWith({ queryKey: ["overview"] }), {
    timeout: 10_000,
  });
  expect(invalidate).toHaveBeenCalledWith({ queryKey: ["pipelines"] });
});
