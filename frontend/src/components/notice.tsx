import type { ReactNode } from "react";
import { describeError, fieldMessages, requestIdOf } from "@/api/problem";
import { Button } from "./button";
import { CopyButton } from "./copy-button";
import { WarningIcon } from "./icons";
import { PageTitle } from "./page";

interface NoticeProps {
  title: string;
  nextStep?: string | null;
  retry?: () => void;
  retryLabel?: string;
  children?: ReactNode;
}

export function Notice({ title, nextStep, retry, retryLabel = "Try again", children }: NoticeProps) {
  return (
    <div
      role="alert"
      className="flex items-start gap-3 rounded-card border border-line bg-bad-wash px-4 py-3"
    >
      <WarningIcon className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0 flex-1">
        <p className="font-medium break-words">{title}</p>
        {nextStep && <p className="text-soft">{nextStep}</p>}
        {children}
      </div>
      {retry && (
        <Button size="small" onClick={retry}>
          {retryLabel}
        </Button>
      )}
    </div>
  );
}

interface ErrorProps extends Pick<NoticeProps, "retry" | "retryLabel" | "children"> {
  error: unknown;
}

/** An error's message, its next step and its field messages. */
export function ErrorNotice({ error, retry, retryLabel, children }: ErrorProps) {
  const fields = Object.entries(fieldMessages(error));
  return (
    <Notice {...describeError(error)} retry={retry} retryLabel={retryLabel}>
      {children}
      {requestIdOf(error) && <RequestId id={requestIdOf(error)!} />}
      {fields.length > 0 && (
        <ul className="text-soft">
          {fields.map(([field, message]) => (
            <li key={field}>
              {field && <code className="text-[0.8125rem]">{field}</code>} {message}
            </li>
          ))}
        </ul>
      )}
    </Notice>
  );
}

/** With this id an operator finds the log lines of the request. */
function RequestId({ id }: { id: string }) {
  return (
    <p className="flex flex-wrap items-center gap-x-1 text-xs text-faint">
      Request id: <code>{id}</code>
      <CopyButton text={id} className="h-6! text-xs!" />
    </p>
  );
}

/** What the user should change, in sentences of the server. Nothing is shown if there is nothing to change. */
export function WarningNotices({ warnings }: { warnings: string[] }) {
  return warnings.map((warning) => (
    <div key={warning} className="mb-4">
      <Notice title={warning} />
    </div>
  ));
}

/** A failure at the source or the destination, with its messages as evidence. */
export function FailureNotice({
  message,
  evidence,
  retry,
}: {
  message: string;
  evidence: string[];
  retry?: () => void;
}) {
  return (
    <Notice title={message} retry={retry}>
      {evidence.length > 0 && (
        <pre className="mt-1 font-mono text-[0.78rem] break-words whitespace-pre-wrap text-soft">
          {evidence.join("\n")}
        </pre>
      )}
    </Notice>
  );
}

/** Shown in place of an empty list: what will be listed, and what the user can do next. */
export function EmptyState({
  title,
  children,
  action,
  isPage = false,
}: {
  title: string;
  children: ReactNode;
  action?: ReactNode;
  /** Whether it is the whole page, so that its title is the page's main heading. */
  isPage?: boolean;
}) {
  return (
    <div className="grid justify-items-center gap-2 px-6 py-14 text-center">
      {isPage ? (
        <PageTitle className="text-base! tracking-normal!">{title}</PageTitle>
      ) : (
        <h2 className="text-base font-semibold">{title}</h2>
      )}
      <div className="max-w-[34rem] text-soft">{children}</div>
      {action && <div className="mt-3">{action}</div>}
    </div>
  );
}

export function Skeletons({ rows = 6 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="grid gap-3 p-4">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="flex gap-4">
          <div className="skeleton h-4 flex-[3]" />
          <div className="skeleton h-4 flex-[2]" />
          <div className="skeleton h-4 flex-1" />
        </div>
      ))}
    </div>
  );
}
