import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect, useReducer, useState } from "react";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch } from "@/api/session";
import { followStream, type StreamState } from "@/live/event-stream";
import { useMayFollow } from "@/live/visibility";
import { applyEvent, type Conversation, type ConversationEvent } from "./transcript";

type Received = { snapshot: Conversation } | { event: ConversationEvent };

interface LiveConversation {
  /** Null until the stream has sent the conversation. */
  conversation: Conversation | null;
  streamState: StreamState;
  /** Why the conversation cannot be followed, for example because it was deleted. Null while there is a connection. */
  error: unknown;
}

/**
 * Follows a conversation. The stream begins with the whole conversation, also after a reload, and each event changes it.
 * Mount the component again (with another `key`) for another conversation.
 */
export function useConversation(id: string): LiveConversation {
  const client = useQueryClient();
  const mayFollow = useMayFollow();
  const [conversation, receive] = useReducer(reduce, null);
  const [streamState, setStreamState] = useState<StreamState>("connecting");
  const [error, setError] = useState<unknown>(null);

  useEffect(() => {
    if (!mayFollow) return;
    const abort = new AbortController();
    followStream({
      url: `/api/v1/agent/conversations/${id}/events`,
      signal: abort.signal,
      fetch: authorizedFetch,
      onState: (state) => {
        setStreamState(state);
        if (state === "live") setError(null);
      },
      onFailure: setError,
      onEvent: ({ event: kind = "", data, id: number }) => {
        const body: unknown = JSON.parse(data);
        if (kind === "conversation") return receive({ snapshot: body as Conversation });
        receive({ event: { number: Number(number), kind, body: body as ConversationEvent["body"] } });
        if (kind === "tool_result") refreshOpenPage(client);
        if (kind === "done") void client.invalidateQueries({ queryKey: queryKeys.conversations });
      },
    }).catch(setError);
    return () => abort.abort();
  }, [client, id, mayFollow]);

  return { conversation, streamState, error };
}

/** Fetches again what a tool may have changed on the open page. */
export function refreshOpenPage(client: QueryClient): void {
  void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
  void client.invalidateQueries({ queryKey: queryKeys.runs.lists });
  void client.invalidateQueries({ queryKey: queryKeys.sources.lists });
  void client.invalidateQueries({ queryKey: queryKeys.sources.opened });
}

function reduce(conversation: Conversation | null, received: Received): Conversation | null {
  if ("snapshot" in received) return received.snapshot;
  return conversation && applyEvent(conversation, received.event);
}
