import { Button } from "@/components/button";
import { CopyButton } from "@/components/copy-button";
import { RetryIcon, WarningIcon } from "@/components/icons";
import { ErrorNotice } from "@/components/notice";
import { modelInWords } from "@/format/model";
import { formatCount } from "@/format/number";
import { ApprovalCard } from "./approval-card";
import { CallCard } from "./call-card";
import { MarkdownText } from "./markdown-text";
import { QuestionCard } from "./question-card";
import { useRetryTurn } from "./queries";
import { isLive, openRequests, type ErrorItem, type Item, type MessageItem, type Turn } from "./transcript";

interface Props {
  conversationId: string;
  turn: Turn;
  isNewest: boolean;
}

/** One message of the user, and everything the agent did until it has answered. */
export function TurnView({ conversationId, turn, isNewest }: Props) {
  const open = openRequests(turn);
  return (
    <article aria-label={`Message ${turn.number}`} className="grid min-w-0 grid-cols-1 gap-3">
      <div className="ml-8 justify-self-end rounded-card bg-picked px-3 py-2 wrap-anywhere whitespace-pre-wrap">
        <span className="sr-only">You: </span>
        {turn.text}
      </div>
      {turn.items.map((item) => (
        <ItemView
          key={`${item.type}-${item.id}`}
          conversationId={conversationId}
          turn={turn}
          item={item}
          isOpen={open.some(({ id }) => id === item.id)}
        />
      ))}
      <TurnState turn={turn} isWaiting={open.length > 0} />
      {isNewest && (turn.status === "failed" || turn.status === "stopped") && (
        <RetryButton conversationId={conversationId} />
      )}
    </article>
  );
}

interface ItemProps {
  conversationId: string;
  turn: Turn;
  item: Item;
  isOpen: boolean;
}

function ItemView({ conversationId, turn, item, isOpen }: ItemProps) {
  switch (item.type) {
    case "message":
      return <Message message={item} isFinished={!isLive(turn) || item !== turn.items.at(-1)} />;
    case "call":
      return <CallCard call={item} isLive={isLive(turn)} />;
    case "approval":
      return <ApprovalCard conversationId={conversationId} request={item} isOpen={isOpen} />;
    case "question":
      return <QuestionCard conversationId={conversationId} question={item} isOpen={isOpen} />;
    case "error":
      return <TurnError error={item} />;
  }
}

function Message({ message, isFinished }: { message: MessageItem; isFinished: boolean }) {
  return (
    <div className="min-w-0">
      <MarkdownText text={message.text} />
      <div className="mt-1 h-7">
        {isFinished && <CopyButton text={message.text} className="-ml-2 text-faint!" />}
      </div>
    </div>
  );
}

function TurnError({ error }: { error: ErrorItem }) {
  return (
    <div className="flex items-start gap-3 rounded-card border border-line bg-bad-wash px-3 py-2">
      <WarningIcon className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0">
        <p className="font-medium wrap-anywhere">{error.message}</p>
        {error.next_step && <p className="wrap-anywhere text-soft">{error.next_step}</p>}
      </div>
    </div>
  );
}

/** Whether the agent works, and at the end which model it has used. The line has the same height in every state. */
function TurnState({ turn, isWaiting }: { turn: Turn; isWaiting: boolean }) {
  return <p className="min-h-5 text-xs text-faint">{stateText(turn, isWaiting)}</p>;
}

function stateText(turn: Turn, isWaiting: boolean): string {
  if (isWaiting) return "Waiting for you";
  if (isLive(turn)) return "Working…";
  const tokens = turn.input_tokens + turn.output_tokens;
  const parts = [
    turn.status === "stopped" && "Stopped",
    turn.status === "superseded" && "Replaced by your next message",
    turn.model && modelInWords(turn.model),
    tokens > 0 && `${formatCount(turn.input_tokens)} tokens in, ${formatCount(turn.output_tokens)} out`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function RetryButton({ conversationId }: { conversationId: string }) {
  const retry = useRetryTurn(conversationId);
  return (
    <div className="grid gap-2">
      <div>
        <Button disabledReason={retry.isPending ? "Starting" : null} onClick={() => retry.mutate()}>
          <RetryIcon className="-ml-0.5" />
          Try again
        </Button>
      </div>
      {retry.error && <ErrorNotice error={retry.error} />}
    </div>
  );
}
