import { useEffect, useRef, type ReactNode } from "react";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { CheckIcon } from "@/components/icons";

interface StepProps {
  number: number;
  title: string;
  summary: string | null;
  state: "open" | "done" | "later";
  onOpen: () => void;
  children: ReactNode;
}

/** One step of a form. It opens after the steps before it are finished, and shows a summary when it is finished. */
export function Step({ number, title, summary, state, onOpen, children }: StepProps) {
  const item = useRef<HTMLLIElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const wasOpen = useRef(state === "open");
  // The button that opened this step is gone, so users of the keyboard and of screen readers continue here.
  useEffect(() => {
    const hasOpened = state === "open" && !wasOpen.current;
    wasOpen.current = state === "open";
    if (!hasOpened) return;
    const target = item.current?.querySelector<HTMLElement>("[aria-invalid]") ?? heading.current;
    target?.focus();
  }, [state]);
  return (
    <li ref={item} className="card min-w-0">
      <h2 ref={heading} tabIndex={-1} className="flex min-h-12 items-center gap-3 px-4">
        <span
          aria-hidden="true"
          className={classNames(
            "grid size-6 shrink-0 place-items-center rounded-full text-xs font-semibold",
            state === "done"
              ? "bg-good-wash text-good"
              : state === "open"
                ? "bg-primary text-on-primary"
                : "bg-picked text-soft",
          )}
        >
          {state === "done" ? <CheckIcon width="14" height="14" /> : number}
        </span>
        <span className={classNames("font-semibold", state === "later" && "text-faint")}>{title}</span>
        {state === "done" && (
          <span dir="auto" className="min-w-0 truncate text-left text-soft">
            {summary}
          </span>
        )}
        {state === "done" && (
          <Button
            look="quiet"
            size="small"
            className="ml-auto"
            aria-label={`Change ${title.toLowerCase()}`}
            onClick={onOpen}
          >
            Change
          </Button>
        )}
      </h2>
      {state === "open" && <div className="border-t border-line p-4">{children}</div>}
    </li>
  );
}

interface ActionsProps {
  nextLabel: string;
  disabledReason?: string | null;
  onNext: () => void;
  children?: ReactNode;
}

export function StepActions({ nextLabel, disabledReason, onNext, children }: ActionsProps) {
  return (
    <div className="flex flex-wrap gap-2">
      <Button look="primary" disabledReason={disabledReason} onClick={onNext}>
        {nextLabel}
      </Button>
      {children}
    </div>
  );
}
