import { useLayoutEffect, type RefObject } from "react";

/** Moves the focus to the card if the part with the focus disappears, so that it does not go to the start of the page. */
export function useKeepFocus(card: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => () => focusIfWithin(card.current), [card]);
}

function focusIfWithin(card: HTMLElement | null): void {
  if (card?.contains(document.activeElement)) card.focus();
}
