/** Whether the agent's panel is open, and which conversation it shows. Any feature may open it with a message. */
import { useSyncExternalStore } from "react";

interface PanelState {
  isOpen: boolean;
  /** The conversation that is shown, or null for a new one. */
  conversationId: string | null;
  /** The path of the page from which the conversation was used last, or null if nobody has used it in this tab. */
  page: string | null;
  /** A message that a button has put in. It is sent as soon as the panel shows it. */
  message: string | null;
  /** False if the panel is open because the page was reloaded. Then it does not take the focus. */
  takesFocus: boolean;
}

const STORAGE_KEY = "drover.agent-panel";
const CLOSED: PanelState = {
  isOpen: false,
  conversationId: null,
  page: null,
  message: null,
  takesFocus: false,
};

let state = readStoredState();
/** The element that had the focus when the panel was opened. */
let focusedBefore: Element | null = null;
const listeners = new Set<() => void>();

/** Open the panel. With a message, begin a new conversation with it. */
export function openAgentPanel(message?: string): void {
  const conversationId = message === undefined ? state.conversationId : null;
  if (!state.isOpen) focusedBefore = document.activeElement;
  setState({ ...state, isOpen: true, conversationId, message: message ?? null, takesFocus: true });
}

/** Close the panel. If the focus was in the panel, return it to where it was before. */
export function closeAgentPanel(): void {
  if (!state.isOpen) return;
  setState({ ...state, isOpen: false, message: null });
  // A page that is covered by the panel is inert. It can have the focus only after it has been rendered again.
  requestAnimationFrame(returnFocus);
}

function returnFocus(): void {
  if (document.activeElement !== document.body) return; // something on the page has the focus
  const isThere = focusedBefore instanceof HTMLElement && focusedBefore.isConnected;
  const target = isThere ? focusedBefore : document.getElementById("main");
  if (target instanceof HTMLElement) target.focus();
}

export function toggleAgentPanel(): void {
  if (state.isOpen) closeAgentPanel();
  else openAgentPanel();
}

/** Show another conversation in the panel, or a new one, on this page. */
export function showInAgentPanel(conversationId: string | null, page: string | null = null): void {
  setState({ ...state, conversationId, page, message: null, takesFocus: true });
}

/** Remember that the user has sent a message from this page. */
export function rememberAgentPage(page: string): void {
  setState({ ...state, page, takesFocus: false });
}

/** Show a new conversation instead of this one, which was deleted. */
export function forgetInAgentPanel(conversationId: string): void {
  if (state.conversationId === conversationId)
    setState({ ...state, conversationId: null, takesFocus: false });
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
  const { isOpen, conversationId, page } = next;
  globalThis.sessionStorage?.setItem(STORAGE_KEY, JSON.stringify({ isOpen, conversationId, page }));
  listeners.forEach((listener) => listener());
}

/** The state of this tab before it was reloaded. */
function readStoredState(): PanelState {
  try {
    const stored: unknown = JSON.parse(globalThis.sessionStorage?.getItem(STORAGE_KEY) ?? "null");
    return { ...CLOSED, ...(stored as Partial<PanelState> | null), message: null, takesFocus: false };
  } catch {
    return CLOSED;
  }
}
