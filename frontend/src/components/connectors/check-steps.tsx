import type { CheckStep } from "@/api/types";
import { CheckIcon, CrossIcon } from "@/components/icons";
import { formatDuration } from "@/format/duration";
import { nameInWords } from "@/format/name";

/** The steps of a connection check, up to the first failed one. */
export function CheckSteps({ steps }: { steps: CheckStep[] }) {
  return (
    <ol
      aria-label="Connection test"
      className="grid gap-1 rounded-card border border-line p-3 text-[0.8125rem]"
    >
      {steps.map(({ step, ok, message, ms, next_step }) => (
        <li key={step} className="grid grid-cols-[1.25rem_6.5rem_1fr_auto] items-start gap-x-2">
          {ok ? <CheckIcon className="mt-0.5 text-good" /> : <CrossIcon className="mt-0.5 text-bad" />}
          <span className="font-medium">
            {nameInWords(step)}
            <span className="sr-only">{ok ? " succeeded" : " failed"}</span>
          </span>
          <span className={ok ? "min-w-0 break-words text-soft" : "min-w-0 break-words text-bad"}>
            {message}
            {next_step && (
              <span className="mt-0.5 block text-ink">
                <span className="font-medium">What to do: </span>
                {next_step}
              </span>
            )}
          </span>
          <span className="text-faint tabular-nums">{formatDuration(ms / 1000)}</span>
        </li>
      ))}
    </ol>
  );
}
