import { useSyncExternalStore } from "react";

/** One timer for every relative time on the page. */
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => listeners.forEach((each) => each()), 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Whole seconds, so that two looks in one render see the same moment. */
function current(): number {
  return Math.floor(Date.now() / 1000) * 1000;
}

/** The present moment in milliseconds, once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, current);
}
