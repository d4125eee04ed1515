import { useSyncExternalStore, type ReactNode } from "react";
import { describeError, requestIdOf } from "@/api/problem";
import { Button } from "./button";
import { CheckIcon, CrossIcon, WarningIcon } from "./icons";

interface Toast {
  id: number;
  kind: "good" | "bad";
  text: string;
  link?: ReactNode;
}

let toasts: readonly Toast[] = [];
let lastId = 0;
const listeners = new Set<() => void>();
const SUCCESS_DURATION = 7_000; // milliseconds that a success message is shown; errors stay until dismissed

function setToasts(next: readonly Toast[]): void {
  toasts = next;
  listeners.forEach((listener) => listener());
}

function dismiss(id: number): void {
  setToasts(toasts.filter((toast) => toast.id !== id));
}

function show(toast: Omit<Toast, "id">): void {
  lastId += 1;
  const id = lastId;
  setToasts([...toasts.slice(-2), { ...toast, id }]);
  if (toast.kind === "good") setTimeout(() => dismiss(id), SUCCESS_DURATION);
}

export function showSuccess(text: string, link?: ReactNode): void {
  show({ kind: "good", text, link });
}

export function showError(error: unknown, link?: ReactNode): void {
  const { title, nextStep } = describeError(error);
  const requestId = requestIdOf(error);
  const text = [title, nextStep, requestId && `Request id: ${requestId}`].filter(Boolean).join(" ");
  show({ kind: "bad", text, link });
}

export function Toasts() {
  const visibleToasts = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div
      aria-live="polite"
      className="pointer-events-none fixed right-0 bottom-0 z-50 grid [body:has([data-save-bar])_&]:bottom-16 w-full max-w-md gap-2 p-4"
    >
      {visibleToasts.map((toast) => (
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
            {toast.text} {toast.link}
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
