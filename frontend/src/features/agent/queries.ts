import {
  infiniteQueryOptions,
  keepPreviousData,
  useInfiniteQuery,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { forgetInAgentPanel } from "@/agent-panel";
import { api, unwrap } from "@/api/client";
import { ProblemError } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { ConversationRow, ConversationRowPage } from "@/api/types";
import { browserTimeZone } from "@/format/time";
import type { TextFilter } from "@/format/parameter";
import type { Config } from "@/components/schema-form/schema";
import type { Conversation } from "./transcript";

/** The user's conversations, the last used first. */
export function conversationsQuery(filter: TextFilter = {}) {
  return infiniteQueryOptions({
    queryKey: [...queryKeys.conversations, filter],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/agent/conversations", {
          params: { query: { ...filter, limit: 50, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page: ConversationRowPage) => page.next,
    placeholderData: keepPreviousData, // the list does not vanish while a search is typed
  });
}

/** The turns before the turn `before`, page by page. They have ended, so they do not change. */
export function useEarlierTurns(id: string, before: number, isRequested: boolean) {
  return useInfiniteQuery({
    queryKey: queryKeys.earlierTurns(id, before),
    queryFn: async ({ pageParam, signal }) => {
      const params = { path: { id }, query: { before: pageParam } };
      return (await unwrap(
        api.GET("/api/v1/agent/conversations/{id}", { params, signal }),
      )) as unknown as Conversation;
    },
    initialPageParam: before,
    getNextPageParam: (page) => (page.earlier_turns > 0 ? page.turns[0]!.number : null),
    enabled: isRequested,
    staleTime: Infinity,
    gcTime: 0,
  });
}

function useRefreshConversations() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: queryKeys.conversations });
}

/** The agent that answers first in a new conversation. */
export type Graph = ConversationRow["graph"];

/** The text of a file or of a page about an API, from which the agent can make a source. */
export interface ApiDocument {
  name: string;
  content: string;
}

interface Message {
  conversationId: string | null;
  text: string;
  page: string;
  document?: ApiDocument;
}

/** Sends a message. Without a conversation it begins a new one. Returns the conversation's id. */
export function useSendMessage(onStart: (conversationId: string) => void, graph: Graph = "main") {
  const refresh = useRefreshConversations();
  return useMutation({
    mutationFn: async (message: Message) => {
      if (message.conversationId === null) return beginConversation(graph, message);
      await addMessage(message.conversationId, message);
      return message.conversationId;
    },
    onSuccess: (id, { conversationId }) => {
      if (conversationId === null) onStart(id);
      void refresh();
    },
  });
}

/** Returns the id of the new conversation. If the server refuses the first message, no empty conversation is left. */
async function beginConversation(graph: Graph, message: Message): Promise<string> {
  const { id } = await unwrap(api.POST("/api/v1/agent/conversations", { body: { title: "", graph } }));
  try {
    await addMessage(id, message);
  } catch (error) {
    if (error instanceof ProblemError && error.status < 500) await deleteConversation(id);
    throw error;
  }
  return id;
}

async function addMessage(id: string, { text, page, document }: Message): Promise<void> {
  if (document) await addDocument(id, document);
  await unwrap(
    api.POST("/api/v1/agent/conversations/{id}/messages", {
      params: { path: { id } },
      body: { text, page, timezone: browserTimeZone() },
    }),
  );
}

async function deleteConversation(id: string): Promise<void> {
  await unwrap(api.DELETE("/api/v1/agent/conversations/{id}", { params: { path: { id } } }));
}

async function addDocument(id: string, document: ApiDocument): Promise<void> {
  await unwrap(
    api.POST("/api/v1/agent/conversations/{id}/documents", { params: { path: { id } }, body: document }),
  );
}

export function useRenameConversation() {
  const refresh = useRefreshConversations();
  return useMutation({
    mutationFn: ({ id, title }: { id: string; title: string }) =>
      unwrap(api.PATCH("/api/v1/agent/conversations/{id}", { params: { path: { id } }, body: { title } })),
    onSuccess: refresh,
  });
}

/** Deletes a conversation, then leaves its page. The agent's panel does not show it any more either. */
export function useDeleteConversation(leavePage: () => Promise<void>) {
  const refresh = useRefreshConversations();
  return useMutation({
    mutationFn: deleteConversation,
    onSuccess: async (_nothing, id) => {
      forgetInAgentPanel(id);
      await leavePage();
      await refresh();
    },
  });
}

export function useStop(id: string) {
  return useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/agent/conversations/{id}/stop", { params: { path: { id } } })),
  });
}

export function useRetryTurn(id: string) {
  return useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/v1/agent/conversations/{id}/retry", { params: { path: { id } } })),
  });
}

export type Decision =
  | { decision: "approve" }
  | { decision: "edit"; arguments: unknown }
  | { decision: "reject"; reason: string }
  | { decision: "answer"; answer: Record<string, unknown> };

/** The settings of a preview, and the hosts for which the user has entered them. */
interface SourceSettings {
  config: Config;
  hosts: string[];
}

/**
 * Decides one request of the agent. The conversation's events then say what became of it. Settings are stored first,
 * with a request of their own, because secrets must not be part of the conversation.
 */
export function useDecide(conversationId: string, requestId: string) {
  const path = { id: conversationId };
  return useMutation({
    mutationFn: async ({ decision, settings }: { decision: Decision; settings?: SourceSettings }) => {
      if (settings) {
        await unwrap(
          api.PUT("/api/v1/agent/conversations/{id}/source-settings", { params: { path }, body: settings }),
        );
      }
      return unwrap(
        api.POST("/api/v1/agent/conversations/{id}/approvals/{approval_id}", {
          params: { path: { ...path, approval_id: requestId } },
          body: decision as never,
        }),
      );
    },
  });
}
