// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startSession } from "@/api/session";
import type { Session } from "@/api/types";
import { useSendMessage } from "./queries";

const sent: string[] = [];
let answerToMessage: () => Response;

beforeEach(() => {
  sent.length = 0;
  startSession({ access: "token", expires_in: 600, organization: null } as unknown as Session);
  vi.stubGlobal("fetch", async ({ method, url }: Request) => {
    const path = new URL(url).pathname.replace("/api/v1/agent/", "");
    sent.push(`${method} ${path}`);
    if (path.endsWith("/messages")) return answerToMessage();
    return method === "DELETE" ? new Response(null, { status: 204 }) : Response.json({ id: "c1" });
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

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

const refuse = () => Response.json({ detail: "You have sent 20 messages." }, { status: 429 });

it("begins a conversation with the first message", async () => {
  answerToMessage = () => Response.json({ number: 1, status: "pending" });
  const { error, onStart } = await send(null);
  expect(error).toBeUndefined();
  expect(onStart).toHaveBeenCalledWith("c1");
  expect(sent).toEqual(["POST conversations", "POST conversations/c1/messages"]);
});

it("leaves no empty conversation if the server refuses the first message", async () => {
  answerToMessage = refuse;
  const { error, onStart } = await send(null);
  expect(error).toBe("You have sent 20 messages.");
  expect(onStart).not.toHaveBeenCalled();
  expect(sent.at(-1)).toBe("DELETE conversations/c1");
});

it("keeps a conversation in which the server refuses a later message", async () => {
  answerToMessage = refuse;
  expect((await send("c1")).error).toBe("You have sent 20 messages.");
  expect(sent).toEqual(["POST conversations/c1/messages"]);
});

it("keeps a new conversation if the answer is lost, because the message may have arrived", async () => {
  answerToMessage = () => {
    throw new TypeError("Failed to fetch");
  };
  expect((await send(null)).error).toBeTruthy();
  expect(sent.at(-1)).toBe("POST conversations/c1/messages");
});
