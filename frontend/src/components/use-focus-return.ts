import { useEffect, useRef, type RefObject } from "react";

/**
 * Gives the focus to the button that opens a form when the form is closed, unless something else has it by then. Without
 * it the focus is lost with the form, and the next press of Tab begins at the top of the page.
 */
export function useFocusReturn(isOpen: boolean): RefObject<HTMLButtonElement | null> {
  const button = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(isOpen);
  useEffect(() => {
    if (wasOpen.current && !isOpen && document.activeElement === document.body) button.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  return button;
}
