import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { toggleAgentPanel } from "@/agent-panel";

const SEQUENCE_TIMEOUT = 1_000; // milliseconds within which the second key must follow

/**
 * Keyboard shortcuts: `g p` pipelines, `g r` runs, `g n` connectors, `g c` custom sources, `g f` files, `g a` agent, `g s`
 * settings, `/` the search field. Ctrl+J or ⌘J opens and closes the agent's panel, also while the user is typing. On the agent's own pages
 * it moves the focus to the message field.
 */
export function useShortcuts(canUseAgent: boolean): void {
  const navigate = useNavigate();
  useEffect(() => {
    let gPressedAt = 0;
    function onKeyDown(event: KeyboardEvent) {
      if (canUseAgent && isAgentShortcut(event)) {
        event.preventDefault(); // some browsers would open their list of downloads
        return focusMessageField() || toggleAgentPanel();
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      const followsG = performance.now() - gPressedAt < SEQUENCE_TIMEOUT;
      gPressedAt = 0;
      if (event.key === "/") return focusSearch(event);
      if (event.key === "g") gPressedAt = performance.now();
      if (followsG && event.key === "p") void navigate({ to: "/pipelines" });
      if (followsG && event.key === "r") void navigate({ to: "/runs" });
      if (followsG && event.key === "n") void navigate({ to: "/connectors" });
      if (followsG && event.key === "c") void navigate({ to: "/sources" });
      if (followsG && event.key === "f") void navigate({ to: "/files" });
      if (followsG && event.key === "a" && canUseAgent) void navigate({ to: "/agent" });
      if (followsG && event.key === "s") void navigate({ to: "/settings" });
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [navigate, canUseAgent]);
}

/** On a page that contains a conversation, move the focus to its message field. Returns whether there is one. */
function focusMessageField(): boolean {
  const field = document.querySelector<HTMLElement>("main [data-agent-message]");
  field?.focus();
  return field !== null;
}

function isAgentShortcut({ ctrlKey, metaKey, altKey, shiftKey, key }: KeyboardEvent): boolean {
  return (ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === "j";
}

/** Whether the key was pressed in an input. `composedPath` also finds the code editor, which is in a shadow tree. */
function isTyping(event: KeyboardEvent): boolean {
  const [target] = event.composedPath();
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function focusSearch(event: KeyboardEvent): void {
  const field = document.querySelector<HTMLInputElement>("[data-search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}
