import { WarningIcon } from "@/components/icons";
import type { Run } from "@/api/types";

const CLASS_WORDS: Record<string, string> = {
  configuration: "Configuration",
  authentication: "Authentication",
  rate_limit: "Rate limit",
  source: "Source",
  destination: "Destination",
  contract: "Data contract",
  timeout: "Timeout",
  crashed: "Crash",
  internal: "Internal error",
};

const NEXT_STEPS: Record<string, string> = {
  configuration: "Correct the settings of the pipeline or its connectors, then run it again.",
  authentication: "Renew the credentials of the connector the message names and check it, then run again.",
  rate_limit: "The other side wants fewer requests. Wait, or give the pipeline a rarer schedule.",
  source: "See whether the source answers; if it does, retry: the run goes on from its last checkpoint.",
  destination: "See whether the destination is up and has room, then retry: nothing half-written is visible.",
  contract: "The data no longer fits what the stream allows. Look at the evidence and change the contract or the source.",
  timeout: "Raise the pipeline's time limit, or make it move less at once.",
  crashed: "Retry: the run goes on from its last checkpoint. If it crashes again, it may need more memory.",
  internal: "This is a fault in Drover. Retry, and report it with the evidence if it stays.",
};

export function FailureCard({ failure }: { failure: NonNullable<Run["failure"]> }) {
  const next = failure.next_step ?? NEXT_STEPS[failure.class];
  return (
    <section aria-labelledby="failure-title" className="overflow-hidden rounded-card border border-line bg-bad-wash">
      <div className="flex gap-3 px-4 py-3">
        <WarningIcon className="mt-0.5 shrink-0 text-bad" />
        <div className="min-w-0 flex-1">
          <h2 id="failure-title" className="font-semibold">
            {CLASS_WORDS[failure.class] ?? failure.class}
            {!failure.retryable && <span className="ml-2 font-normal text-soft">trying again unchanged will not help</span>}
          </h2>
          <p className="mt-0.5 break-words">{failure.message}</p>
          {next && (
            <p className="mt-2 text-soft">
              <span className="font-medium text-ink">Next: </span>
              {next}
            </p>
          )}
        </div>
      </div>
      {failure.evidence.length > 0 && (
        <pre
          tabIndex={0}
          aria-label="Evidence"
          className="max-h-48 overflow-auto border-t border-line bg-surface px-4 py-2.5 font-mono text-[0.78rem] leading-5"
        >
          {failure.evidence.join("\n")}
        </pre>
      )}
    </section>
  );
}
