import { useSyncExternalStore, type ReactNode } from "react";
import { describe } from "@/api/problem";
import { Button } from "./button";
import { CheckIcon, CrossIcon, WarningIcon } from "./icons";

interface Toast {
  id: number;
  kind: "good" | "bad";
  text: string;
  more?: ReactNode;
}

let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();
const SHOWN = 7_000; // milliseconds; errors stay until dismissed

function change(next: readonly Toast[]): void {
  toasts = next;
  listeners.forEach((listener) => listener());
}

function dismiss(id: number): void {
  change(toasts.filter((toast) => toast.id !== id));
}

function show(toast: Omit<Toast, "id">): void {
  last += 1;
  const id = last;
  change([...toasts.slice(-2), { ...toast, id }]);
  if (toast.kind === "good") setTimeout(() => dismiss(id), SHOWN);
}

export function showSuccess(text: string, more?: ReactNode): void {
  show({ kind: "good", text, more });
}

export function showError(error: unknown, more?: ReactNode): void {
  const { title, next } = describe(error);
  show({ kind: "bad", text: next ? `${title} ${next}` : title, more });
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div
      aria-live="polite"
      className="pointer-events-none fixed right-0 bottom-0 z-50 grid w-full max-w-md gap-2 p-4"
    >
      {shown.map((toast) => (
        <div
          key={toast.id}
          className="pointer-events-auto flex animate-rise items-start gap-2.5 rounded-card border border-line bg-raised py-2.5 pr-2 pl-3.5 shadow-float"
        >
          {toast.kind === "good" ? (
            <CheckIcon className="mt-0.5 shrink-0 text-good" />
          ) : (
            <WarningIcon className="mt-0.5 shrink-0 text-bad" />
          )}
          <div
            className="min-w-0 flex-1 break-words"
            onClick={({ target }) => target instanceof HTMLAnchorElement && dismiss(toast.id)}
          >
            {toast.text} {toast.more}
          </div>
          <Button
            look="quiet"
            size="icon"
            className="-my-1"
            aria-label="Dismiss"
            onClick={() => dismiss(toast.id)}
          >
            <CrossIcon />
          </Button>
        </div>
      ))}
    </div>
  );
}
