import { CheckIcon, ClockIcon, WarningIcon } from "@/components/icons";
import { TextWithTimes } from "@/components/text-with-times";
import { Disclosure, JsonView } from "./disclosure";
import { PageLinkText } from "./page-link";
import type { CallItem } from "./transcript";

/** A tool call of the agent. What the tool did is shown from its result, never from the agent's words. */
export function CallCard({ call, isLive }: { call: CallItem; isLive: boolean }) {
  const links = call.links ?? [];
  return (
    <section
      aria-label={`Tool: ${call.title}`}
      className="min-w-0 rounded-card border border-line bg-surface"
    >
      <Disclosure
        summary={
          <>
            <CallState state={call.state} isLive={isLive} />
            <span className="min-w-0">
              <span className="font-medium text-ink">{call.title}</span>
              {call.summary && (
                <span className="ml-2 wrap-anywhere">
                  <TextWithTimes text={call.summary} />
                </span>
              )}
            </span>
          </>
        }
      >
        <JsonView label="Arguments" value={call.arguments} />
        {call.result !== undefined && <JsonView label="Result" value={call.result} />}
      </Disclosure>
      {links.length > 0 && (
        <ul className="flex flex-wrap gap-x-3 gap-y-1 px-2 pb-2 pl-8 text-[0.8125rem]">
          {links.map(({ label, path }) => (
            <li key={path} className="min-w-0 wrap-anywhere [&>a]:inline-block [&>a]:min-h-6 [&>a]:leading-6">
              <PageLinkText path={path}>{label}</PageLinkText>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function CallState({ state, isLive }: { state: CallItem["state"]; isLive: boolean }) {
  if (state === "ok") {
    return (
      <span className="shrink-0 text-good">
        <CheckIcon />
        <span className="sr-only">Succeeded: </span>
      </span>
    );
  }
  if (state === "error") {
    return (
      <span className="shrink-0 text-bad">
        <WarningIcon />
        <span className="sr-only">Failed: </span>
      </span>
    );
  }
  return (
    <span className="shrink-0 text-faint">
      <ClockIcon className={isLive ? "animate-breathe" : undefined} />
      <span className="sr-only">{isLive ? "Not finished: " : "Ended without a result: "}</span>
    </span>
  );
}
