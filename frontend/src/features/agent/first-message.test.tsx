// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, it, vi } from "vitest";
import { HttpResponse } from "msw";
import { http, noteRequests, part, refusal, startServer } from "@/test-server";
import { useSendMessage } from "./queries";

const MESSAGES = "/api/v1/agent/conversations/{id}/messages";

const server = startServer(
  http.post("/api/v1/agent/conversations", ({ response }) => response(201).json(part({ id: "c1" }))),
  http.post(MESSAGES, ({ response }) => response(202).json(part({ number: 1, status: "pending" }))),
  http.delete("/api/v1/agent/conversations/{id}", ({ response }) => response(204).empty()),
);
const requests = noteRequests(server);
const sent = () =>
  requests.map(({ method, url }) => `${method} ${url.pathname.replace("/api/v1/agent/", "")}`);

afterEach(cleanup);

function Client({ children }: { children: ReactNode }) {
  return <QueryClientProvider client={new QueryClient()}>{children}</QueryClientProvider>;
}

async function send(conversationId: string | null) {
  const onStart = vi.fn();
  const { result } = renderHook(() => useSendMessage(onStart), { wrapper: Client });
  result.current.mutate({ conversationId, text: "Hello", page: "" });
  await waitFor(() => expect(result.current.isPending || result.current.isIdle).toBe(false));
  return { error: result.current.error?.message, onStart };
}

function refuseMessages() {
  const problem = { detail: "You have sent 20 messages." };
  server.use(http.post(MESSAGES, ({ response }) => response.untyped(refusal(429, problem))));
}

it("begins a conversation with the first message", async () => {
  const { error, onStart } = await send(null);
  expect(error).toBeUndefined();
  expect(onStart).toHaveBeenCalledWith("c1");
  expect(sent()).toEqual(["POST conversations", "POST conversations/c1/messages"]);
});

it("leaves no empty conversation if the server refuses the first message", async () => {
  refuseMessages();
  const { error, onStart } = await send(null);
  expect(error).toBe("You have sent 20 messages.");
  expect(onStart).not.toHaveBeenCalled();
  expect(sent().at(-1)).toBe("DELETE conversations/c1");
});

it("keeps a conversation in which the server refuses a later message", async () => {
  refuseMessages();
  expect((await send("c1")).error).toBe("You have sent 20 messages.");
  expect(sent()).toEqual(["POST conversations/c1/messages"]);
});

it("keeps a new conversation if the answer is lost, because the message may have arrived", async () => {
  server.use(http.post(MESSAGES, ({ response }) => response.untyped(HttpResponse.error())));
  expect((await send(null)).error).toBeTruthy();
  expect(sent().at(-1)).toBe("POST conversations/c1/messages");
});
