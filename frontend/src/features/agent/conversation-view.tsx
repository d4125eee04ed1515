import { useEffect, useEffectEvent, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { isNotFound } from "@/api/problem";
import { MissingItem } from "@/components/error-pages";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { StreamRefused } from "@/live/event-stream";
import { announcementOf } from "./announcement";
import { Composer } from "./composer";
import { EarlierTurns } from "./earlier-turns";
import { FirstSteps } from "./first-steps";
import { useSendMessage, useStop, type ApiDocument, type Graph } from "./queries";
import { isLive, latestCode, openRequests, type Conversation, type Turn } from "./transcript";
import { TurnView } from "./turn-view";
import { useConversation } from "./use-conversation";

const NEAR_END = 80; // pixels from the end within which new text scrolls into view

interface Props {
  conversationId: string | null;
  /** Path of the page from which messages are sent, or "" on the agent's own page. */
  page: string;
  /** Called with the id of a conversation that the first message has begun. */
  onStart: (conversationId: string) => void;
  autoFocus?: boolean;
  /** Called when the user has sent a message. */
  onSend?: () => void;
  /** The agent that answers first in a new conversation. */
  graph?: Graph;
  /** Called with the newest code of a source that the agent has written. */
  onCode?: (code: string) => void;
  /** Shown before the first message. */
  firstSteps?: (parts: FirstStepsParts) => ReactNode;
  /** Shown between the conversation and the message field. */
  notice?: ReactNode;
}

export interface FirstStepsParts {
  /** Put a text into the message field. */
  choose: (text: string) => void;
  /** Send a message at once, if wanted with a document. */
  send: (text: string, document?: ApiDocument) => void;
}

/** A conversation with the field for the next message. Without an id it is a new conversation. */
export function ConversationView(props: Props) {
  if (props.conversationId === null) return <NewConversation {...props} />;
  return <OpenConversation key={props.conversationId} {...props} conversationId={props.conversationId} />;
}

function NewConversation(props: Props) {
  return (
    <ConversationFrame {...props} turn={undefined}>
      {(parts) => <Beginning {...props} parts={parts} />}
    </ConversationFrame>
  );
}

function Beginning({ firstSteps, page, parts }: Props & { parts: FirstStepsParts }) {
  return firstSteps ? firstSteps(parts) : <FirstSteps page={page} onChoose={parts.choose} />;
}

function OpenConversation(props: Props & { conversationId: string }) {
  const { conversation, streamState, error } = useConversation(props.conversationId);
  const turn = conversation?.turns.at(-1);
  const code = latestCode(conversation);
  const reportCode = useEffectEvent((newest: string) => props.onCode?.(newest));
  useEffect(() => {
    if (code !== null) reportCode(code);
  }, [code]);
  if (isNotFound(error)) return <MissingItem item="conversation" isPage={false} />;
  if (error && !conversation) {
    return (
      <div className="grid gap-2 p-4">
        <ErrorNotice error={error} />
        {!(error instanceof StreamRefused) && (
          <p role="status" className="text-soft">
            The page tries again by itself.
          </p>
        )}
      </div>
    );
  }
  return (
    <ConversationFrame {...props} turn={turn} isLoading={!conversation}>
      {(parts) => (
        <>
          {!conversation && <Skeletons rows={3} />}
          {conversation?.turns.length === 0 && <Beginning {...props} parts={parts} />}
          {conversation && <Turns conversation={conversation} />}
          {streamState === "waiting" && conversation && (
            <p
              role="status"
              className="mx-4 mb-3 rounded-card border border-line bg-wait-wash px-3 py-2 text-soft"
            >
              The connection was lost. It reconnects automatically, and nothing is lost.
            </p>
          )}
        </>
      )}
    </ConversationFrame>
  );
}

function Turns({ conversation }: { conversation: Conversation }) {
  const { id, turns } = conversation;
  return (
    <div className="grid grid-cols-1 gap-6 p-4">
      {conversation.earlier_turns > 0 && <EarlierTurns conversationId={id} before={turns[0]!.number} />}
      {turns.map((turn, index) => (
        <TurnView key={turn.number} conversationId={id} turn={turn} isNewest={index === turns.length - 1} />
      ))}
    </div>
  );
}

interface FrameProps extends Props {
  /** The newest turn. */
  turn: Turn | undefined;
  isLoading?: boolean;
  children: (parts: FirstStepsParts) => ReactNode;
}

function ConversationFrame({
  conversationId,
  page,
  onStart,
  onSend,
  autoFocus,
  graph,
  notice,
  turn,
  isLoading,
  children,
}: FrameProps) {
  const [text, setText] = useState("");
  const [chosenExample, setChosenExample] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const send = useSendMessage(onStart, graph);
  const stop = useStop(conversationId ?? "");
  const isWaiting = openRequests(turn).length > 0;
  const isWorking = isLive(turn);
  const disabledReason = sendingReason(send.isPending, isLoading ?? false, isWorking && !isWaiting);

  useLayoutEffect(() => {
    if (autoFocus || chosenExample) field.current?.focus();
  }, [autoFocus, chosenExample]);

  function finishSending() {
    setText("");
    onSend?.();
  }
  function choose(example: string) {
    setText(example);
    setChosenExample(example);
  }

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <ScrollToEnd>
        {children({
          choose,
          send: (message, document) => send.mutate({ conversationId, text: message, page, document }),
        })}
      </ScrollToEnd>
      <p role="status" className="sr-only">
        {announcementOf(turn)}
      </p>
      {(send.error ?? stop.error) && (
        <div className="px-3 pb-2">
          <ErrorNotice error={send.error ?? stop.error} />
        </div>
      )}
      {notice}
      <Composer
        ref={field}
        text={text}
        onChange={setText}
        disabledReason={disabledReason}
        pageNote={page ? "The agent knows which page you have open." : null}
        onStop={isWorking ? () => stop.mutate() : null}
        onSend={() => send.mutate({ conversationId, text, page }, { onSuccess: finishSending })}
      />
    </div>
  );
}

function sendingReason(isSending: boolean, isLoading: boolean, isWorking: boolean): string | null {
  if (isSending) return "Sending";
  if (isLoading) return "Loading the conversation";
  return isWorking ? "The agent is working. Wait for its answer, or stop it." : null;
}

/** Keeps the end in view while text arrives or a form opens, unless the user has scrolled up. */
function ScrollToEnd({ children }: { children: ReactNode }) {
  const region = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const content = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const keepEndInView = () => {
      if (isAtEnd.current && region.current) region.current.scrollTop = region.current.scrollHeight;
    };
    const observer = new ResizeObserver(keepEndInView);
    observer.observe(region.current!);
    observer.observe(content.current!);
    keepEndInView();
    return () => observer.disconnect();
  }, []);
  return (
    <div
      ref={region}
      tabIndex={0}
      role="region"
      aria-label="Conversation"
      // `relative` keeps texts for screen readers inside, so that they do not make the page itself scroll.
      className="relative min-h-0 flex-1 overflow-y-auto"
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END;
      }}
    >
      <div ref={content}>{children}</div>
    </div>
  );
}
