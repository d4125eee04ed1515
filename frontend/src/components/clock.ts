import { useSyncExternalStore } from "react";

/** The timer that all relative times on the page share. */
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => listeners.forEach((listener) => listener()), 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The time in milliseconds, rounded down to seconds, so that it does not change during a render. */
function currentSecond(): number {
  return Math.floor(Date.now() / 1000) * 1000;
}

/** The current time in milliseconds, updated once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, currentSecond);
}
