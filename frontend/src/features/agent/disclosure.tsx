import type { ReactNode } from "react";
import { ChevronIcon } from "@/components/icons";

/** A part that folds. Its heading is always visible. */
export function Disclosure({ summary, children }: { summary: ReactNode; children: ReactNode }) {
  return (
    <details className="group min-w-0">
      <summary className="flex min-h-8 list-none items-center gap-2 rounded-control px-2 py-1 text-[0.8125rem] text-soft hover:bg-hover [&::-webkit-details-marker]:hidden">
        {summary}
        <ChevronIcon className="ml-auto shrink-0 text-faint transition-transform group-open:rotate-180" />
      </summary>
      <div className="grid min-w-0 grid-cols-1 gap-2 px-2 pt-1 pb-2">{children}</div>
    </details>
  );
}

/** A value as JSON, in a region that scrolls. */
export function JsonView({ label, value }: { label: string; value: unknown }) {
  return (
    <div className="min-w-0">
      <p className="text-xs text-faint">{label}</p>
      <pre
        tabIndex={0}
        aria-label={label}
        role="region"
        className="max-h-60 overflow-auto rounded-control border border-line bg-page px-2.5 py-1.5 font-mono text-[0.75rem] leading-5"
      >
        {JSON.stringify(value, null, 2)}
      </pre>
    </div>
  );
}
