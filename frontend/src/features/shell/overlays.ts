/** Which of the shell's dialogs is open: the palette, the list of keys, or none. */
import { useSyncExternalStore } from "react";

type Overlay = "palette" | "keys" | null;

let open: Overlay = null;
const listeners = new Set<() => void>();

export function openOverlay(overlay: Overlay): void {
  open = overlay;
  listeners.forEach((listener) => listener());
}

export function isOverlayOpen(): boolean {
  return open !== null;
}

export function useOverlay(): Overlay {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => open,
  );
}
