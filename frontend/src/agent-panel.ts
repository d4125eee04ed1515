/** Whether the agent's panel is open, and which conversation it shows. Any feature may open it with a message. */
import { useSyncExternalStore } from "react";

interface PanelState {
  isOpen: boolean;
  /** The conversation that is shown, or null for a new one. */
  conversationId: string | null;
  /** A message that a button has put in. It is sent as soon as the panel shows it. */
  message: string | null;
}

const STORAGE_KEY = "drover.agent-panel";
const CLOSED: PanelState = { isOpen: false, conversationId: null, message: null };

let state = readStoredState();
const listeners = new Set<() => void>();

/** Open the panel. With a message, begin a new conversation with it. */
export function openAgentPanel(message?: string): void {
  const conversationId = message === undefined ? state.conversationId : null;
  setState({ isOpen: true, conversationId, message: message ?? null });
}

export function closeAgentPanel(): void {
  setState({ ...state, isOpen: false, message: null });
}

export function toggleAgentPanel(): void {
  if (state.isOpen) closeAgentPanel();
  else openAgentPanel();
}

/** Show another conversation in the panel, or a new one. */
export function showInAgentPanel(conversationId: string | null): void {
  setState({ ...state, conversationId, message: null });
}

/** Forget the conversation, because the user has logged out or switched to another organization. */
export function resetAgentPanel(): void {
  setState(CLOSED);
}

export function useAgentPanel(): PanelState {
  return useSyncExternalStore(subscribe, () => state);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function setState(next: PanelState): void {
  state = next;
  const { isOpen, conversationId } = next;
  globalThis.sessionStorage?.setItem(STORAGE_KEY, JSON.stringify({ isOpen, conversationId }));
  listeners.forEach((listener) => listener());
}

/** The state of this tab before it was reloaded. */
function readStoredState(): PanelState {
  try {
    const stored: unknown = JSON.parse(globalThis.sessionStorage?.getItem(STORAGE_KEY) ?? "null");
    return { ...CLOSED, ...(stored as Partial<PanelState> | null), message: null };
  } catch {
    return CLOSED;
  }
}
