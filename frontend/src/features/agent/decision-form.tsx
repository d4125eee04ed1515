import { useEffect, useRef, type ReactNode } from "react";
import { Button } from "@/components/button";

interface DecisionFormProps {
  label: string;
  isDone: boolean;
  onSubmit: () => void;
  onBack: () => void;
  children: ReactNode;
}

export function DecisionForm({ label, isDone, onSubmit, onBack, children }: DecisionFormProps) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    // The button that has opened this form is gone, so the focus would be lost.
    const hasFocus = form.current?.contains(document.activeElement);
    if (!hasFocus) form.current?.querySelector<HTMLElement>("button, input, textarea, select")?.focus();
  }, []);
  return (
    <form
      ref={form}
      className="grid min-w-0 grid-cols-1 gap-3"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation(); // Escape leaves this form first, and closes the panel only the next time
        onBack();
      }}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" disabledReason={isDone ? "Sending your decision" : null}>
          {label}
        </Button>
        <Button onClick={onBack}>Back</Button>
      </div>
    </form>
  );
}
