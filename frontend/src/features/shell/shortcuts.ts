import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { toggleAgentPanel } from "@/agent-panel";
import { usePermissionsSomewhere } from "@/session/use-session";
import { mayOpen, PAGES } from "./keys";
import { isOverlayOpen, openOverlay } from "./overlays";

const SEQUENCE_TIMEOUT = 1_000; // milliseconds within which the second key must follow

/**
 * The keyboard shortcuts of `keys.ts`. Those with Ctrl or ⌘ work also while the user is typing. On the agent's own pages
 * its shortcut moves the focus to the message field.
 */
export function useShortcuts(): void {
  const navigate = useNavigate();
  const permissions = usePermissionsSomewhere();
  const canUseAgent = permissions.includes("agent.use");
  const keys = PAGES.filter((page) => mayOpen(page, permissions))
    .map(({ key }) => key)
    .join("");
  useEffect(() => {
    let gPressedAt = 0;
    function onKeyDown(event: KeyboardEvent) {
      if (isWithControl(event, "k")) {
        event.preventDefault(); // some browsers would move the focus to their address field
        return openOverlay("palette");
      }
      if (canUseAgent && isWithControl(event, "j")) {
        event.preventDefault(); // some browsers would open their list of downloads
        return focusMessageField() || toggleAgentPanel();
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || isInDialog(event)) return;
      if (isOverlayOpen()) return; // its code is being loaded, and what is typed is meant for it
      const followsG = performance.now() - gPressedAt < SEQUENCE_TIMEOUT;
      gPressedAt = 0;
      if (event.key === "/") return focusSearch(event);
      if (event.key === "?") return openOverlay("keys");
      if (event.key === "j") return focusRow(event, 1);
      if (event.key === "k") return focusRow(event, -1);
      if (event.key === "g") gPressedAt = performance.now();
      const page = followsG && PAGES.find(({ key }) => key === event.key && keys.includes(key));
      if (page) void navigate({ to: page.to });
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [navigate, canUseAgent, keys]);
}

/** On a page that contains a conversation, move the focus to its message field. Returns whether there is one. */
function focusMessageField(): boolean {
  const field = document.querySelector<HTMLElement>("main [data-agent-message]");
  field?.focus();
  return field !== null;
}

function isWithControl({ ctrlKey, metaKey, altKey, shiftKey, key }: KeyboardEvent, letter: string): boolean {
  return (ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === letter;
}

/** Whether the key was pressed in an input. `composedPath` also finds the code editor, which is in a shadow tree. */
function isTyping(event: KeyboardEvent): boolean {
  const [target] = event.composedPath();
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** A dialog is modal, so keys pressed in it must not open another page behind it. */
function isInDialog({ target }: KeyboardEvent): boolean {
  return target instanceof Element && target.closest("dialog") !== null;
}

/** Moves the focus to the next row of the page's table, or to its first row. Enter then opens it, because it is a link. */
function focusRow(event: KeyboardEvent, by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main .row-link")];
  const current = rows.findIndex((link) => link.closest("tr")?.contains(document.activeElement));
  const next = rows[current < 0 ? 0 : current + by];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function focusSearch(event: KeyboardEvent): void {
  const field = document.querySelector<HTMLInputElement>("[data-search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}
