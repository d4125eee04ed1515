/**
 * The transcript of a conversation, and how each event changes it. The rules are those of the server, in
 * `apps/agent/conversations/transcripts.py`, so that a page that was reloaded shows the same as one that followed along.
 */
import type { ChangeCardProps } from "@/components/change-card";

export type JsonRecord = Record<string, unknown>;

export interface PageLink {
  label: string;
  path: string;
}

/** What the user is shown before a decision. The server makes it. */
export interface Card extends ChangeCardProps {
  title: string;
  choices: string[];
  form: JsonRecord | null;
}

export interface MessageItem {
  type: "message";
  id: string;
  text: string;
}

export interface CallItem {
  type: "call";
  id: string;
  tool: string;
  title: string;
  arguments: JsonRecord;
  state: "running" | "ok" | "error";
  summary?: string;
  result?: unknown;
  links?: PageLink[];
}

type RequestState =
  "open" | "approved" | "answered" | "rejected" | "used" | "failed" | "expired" | "stopped" | "superseded";

/** A question, or a tool call that needs an approval. */
export interface RequestItem {
  type: "question" | "approval";
  id: string;
  state: RequestState;
  tool: string;
  title: string;
  card: Card;
  arguments: JsonRecord;
  expires_at: string;
  reason?: string;
  edited?: boolean;
  answer?: JsonRecord | null;
}

export interface ErrorItem {
  type: "error";
  id: string;
  code: string;
  message: string;
  next_step: string;
}

export type Item = MessageItem | CallItem | RequestItem | ErrorItem;

export interface Turn {
  number: number;
  status: string;
  text: string;
  model: string;
  created_at: string;
  finished_at: string | null;
  input_tokens: number;
  output_tokens: number;
  items: Item[];
}

export interface Conversation {
  id: string;
  title: string;
  event_sequence: number;
  /** How many turns there are before these. */
  earlier_turns: number;
  turns: Turn[];
}

/** An event of the conversation's stream, after the first one. `number` is its id. */
export interface ConversationEvent {
  number: number;
  kind: string;
  body: JsonRecord & { turn: number };
}

const LIVE_STATUSES = ["pending", "running", "waiting"];

/** Whether the agent has not finished this turn. It may be waiting for the user. */
export function isLive(turn: Turn | undefined): boolean {
  return turn !== undefined && LIVE_STATUSES.includes(turn.status);
}

/** The questions and approvals of the turn that nobody has decided. */
export function openRequests(turn: Turn | undefined): RequestItem[] {
  if (!isLive(turn)) return [];
  return turn!.items.filter(
    (item): item is RequestItem =>
      (item.type === "question" || item.type === "approval") && item.state === "open",
  );
}

/** Returns the newest code of a source that the agent has written, or null. An approval may contain the user's edits. */
export function latestCode(conversation: Conversation | null): string | null {
  const items = conversation?.turns.flatMap((turn) => turn.items) ?? [];
  for (const item of items.toReversed()) {
    const code = codeOf(item);
    if (typeof code === "string") return code;
  }
  return null;
}

function codeOf(item: Item): unknown {
  if (item.type === "approval") return item.card.changes?.find(({ field }) => field === "code")?.after;
  if (item.type !== "call") return null;
  return (item.result as { code?: unknown } | undefined)?.code ?? item.arguments.code;
}

/** Returns the conversation after the event. An event that was applied before changes nothing. */
export function applyEvent(conversation: Conversation, event: ConversationEvent): Conversation {
  if (event.number <= conversation.event_sequence) return conversation;
  const { turn: number, ...body } = event.body;
  const exists = conversation.turns.some((turn) => turn.number === number);
  const turns = exists ? conversation.turns : [...conversation.turns, newTurn(number)];
  return {
    ...conversation,
    event_sequence: event.number,
    turns: turns.map((turn) => (turn.number === number ? changeTurn(turn, event.kind, body) : turn)),
  };
}

function newTurn(number: number): Turn {
  return {
    number,
    status: "pending",
    text: "",
    model: "",
    created_at: new Date().toISOString(),
    finished_at: null,
    input_tokens: 0,
    output_tokens: 0,
    items: [],
  };
}

function changeTurn(turn: Turn, kind: string, body: JsonRecord): Turn {
  switch (kind) {
    case "turn_started":
      return { ...turn, status: "pending", text: String(body.text), finished_at: null };
    case "usage":
      return { ...turn, ...body };
    case "done":
      return { ...turn, status: String(body.status), finished_at: new Date().toISOString() };
    default:
      return { ...turn, items: changeItems(turn.items, kind, body) };
  }
}

function changeItems(items: Item[], kind: string, body: JsonRecord): Item[] {
  switch (kind) {
    case "token":
      return addToken(items, String(body.message), String(body.text));
    case "message_discarded":
      return items.filter((item) => item.id !== body.message);
    case "tool_call":
      return [...items, { ...body, type: "call", state: "running" } as CallItem];
    case "tool_result":
      return items.map((item) =>
        item.type === "call" && item.id === body.id ? ({ ...item, ...body } as CallItem) : item,
      );
    case "question":
    case "approval_required": {
      const type = kind === "question" ? "question" : "approval";
      return [...items, { ...body, type } as RequestItem];
    }
    case "approval_resolved":
      return items.map((item) =>
        (item.type === "question" || item.type === "approval") && item.id === body.id
          ? ({ ...item, ...body } as RequestItem)
          : item,
      );
    case "error":
      return [...items, { ...body, type: "error", id: `error-${items.length}` } as ErrorItem];
    default:
      return items;
  }
}

function addToken(items: Item[], messageId: string, text: string): Item[] {
  const exists = items.some((item) => item.type === "message" && item.id === messageId);
  if (!exists) return [...items, { type: "message", id: messageId, text }];
  return items.map((item) =>
    item.type === "message" && item.id === messageId ? { ...item, text: item.text + text } : item,
  );
}
