import { useSyncExternalStore, type ReactNode } from "react";
import { Button } from "./button";
import { CheckIcon, CrossIcon } from "./icons";
import { ErrorNotice } from "./notice";

interface Message {
  id: number;
  link?: ReactNode;
}

interface Success extends Message {
  text: string;
}

interface ActionError extends Message {
  error: unknown;
}

interface Messages {
  successes: readonly Success[];
  errors: readonly ActionError[];
}

let messages: Messages = { successes: [], errors: [] };
let lastId = 0;
const listeners = new Set<() => void>();
const SUCCESS_DURATION = 7_000; // milliseconds that a success message is shown; errors stay
const MAX_SHOWN = 3; // of each kind

function change(next: Partial<Messages>): void {
  messages = { ...messages, ...next };
  listeners.forEach((listener) => listener());
}

function useMessages(): Messages {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => messages,
  );
}

export function showSuccess(text: string, link?: ReactNode): void {
  lastId += 1;
  const id = lastId;
  change({ successes: [...messages.successes, { id, text, link }].slice(-MAX_SHOWN) });
  setTimeout(() => dismissSuccess(id), SUCCESS_DURATION);
}

/** Shows why an action has failed, above the page. An action with a form or a dialog of its own shows it there instead. */
export function showError(error: unknown, link?: ReactNode): void {
  lastId += 1;
  change({ errors: [...messages.errors, { id: lastId, error, link }].slice(-MAX_SHOWN) });
}

/** Removes the errors, because they belong to a page that the user has left. */
export function clearErrors(): void {
  if (messages.errors.length > 0) change({ errors: [] });
}

function dismissSuccess(id: number): void {
  change({ successes: messages.successes.filter((message) => message.id !== id) });
}

function dismissError(id: number): void {
  change({ errors: messages.errors.filter((message) => message.id !== id) });
}

/** The errors of actions. They stay in the page until the user dismisses them, and in view when the page is scrolled. */
export function ActionErrors() {
  const { errors } = useMessages();
  if (errors.length === 0) return null;
  return (
    <div className="sticky top-13 z-20 grid gap-2 px-4 pt-3 md:px-6 lg:top-0">
      {errors.map(({ id, error, link }) => (
        <div
          key={id}
          className="rounded-card bg-raised shadow-float"
          onClick={({ target }) => target instanceof HTMLAnchorElement && dismissError(id)}
        >
          <ErrorNotice error={error} retry={() => dismissError(id)} retryLabel="Dismiss">
            {link}
          </ErrorNotice>
        </div>
      ))}
    </div>
  );
}

export function Toasts() {
  const { successes } = useMessages();
  return (
    <div
      aria-live="polite"
      className="pointer-events-none fixed right-0 bottom-0 z-50 grid [body:has([data-composer])_&]:bottom-28 [body:has([data-save-bar])_&]:bottom-16 w-full max-w-md gap-2 p-4"
    >
      {successes.map(({ id, text, link }) => (
        <div
          key={id}
          className="pointer-events-auto flex animate-rise items-start gap-2.5 rounded-card border border-line bg-raised py-2.5 pr-2 pl-3.5 shadow-float"
        >
          <CheckIcon className="mt-0.5 shrink-0 text-good" />
          <div
            className="min-w-0 flex-1 break-words"
            onClick={({ target }) => target instanceof HTMLAnchorElement && dismissSuccess(id)}
          >
            {text} {link}
          </div>
          <Button
            look="quiet"
            size="icon"
            className="-my-1"
            aria-label="Dismiss"
            onClick={() => dismissSuccess(id)}
          >
            <CrossIcon />
          </Button>
        </div>
      ))}
    </div>
  );
}
