import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";

const PAUSE = 1_000; // milliseconds between the two keys of a sequence

/** `g p` pipelines, `g r` runs, `g c` custom sources, `g s` settings, `/` the search field of the page. */
export function useShortcuts(): void {
  const navigate = useNavigate();
  useEffect(() => {
    let goAt = 0;
    function press(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      const going = performance.now() - goAt < PAUSE;
      goAt = 0;
      if (event.key === "/") return focusSearch(event);
      if (event.key === "g") goAt = performance.now();
      if (going && event.key === "p") void navigate({ to: "/pipelines" });
      if (going && event.key === "r") void navigate({ to: "/runs" });
      if (going && event.key === "c") void navigate({ to: "/sources" });
      if (going && event.key === "s") void navigate({ to: "/settings" });
    }
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [navigate]);
}

/** The code editor lives in a shadow tree, which only the event's path sees into. */
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
