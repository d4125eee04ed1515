import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { openAgentPanel } from "@/agent-panel";
import { Button, buttonClasses } from "@/components/button";
import { AgentIcon, WarningIcon } from "@/components/icons";
import { failureClassLabel } from "@/format/failure-class";
import { useHasPermissionSomewhere } from "@/session/use-session";
import type { Run } from "@/api/types";
import { ConnectorLinks } from "./connector-links";
import { SettingLink } from "./setting-link";

/** Next steps that ask the user to reset the stream, which is done on the pipeline's page. */
const RESET_STREAM = /reset the stream/i;

/** Next steps that name settings of the pipeline. */
const NEEDS_CONFIGURATION = /under configuration|adjust the pipeline|time limit/i;

interface Props {
  run: Run;
  failure: NonNullable<Run["failure"]>;
  /** The button that retries, if the user may and it can help. */
  children?: ReactNode;
}

export function FailureCard({ run, failure, children }: Props) {
  const canUseAgent = useHasPermissionSomewhere("agent.use");
  return (
    <section
      aria-labelledby="failure-title"
      className="overflow-hidden rounded-card border border-line bg-bad-wash"
    >
      <div className="flex gap-3 px-4 py-3">
        <WarningIcon className="mt-0.5 shrink-0 text-bad" />
        <div className="min-w-0 flex-1">
          <h2 id="failure-title" className="font-semibold">
            {failureClassLabel(failure.class)}
            {failure.retryable === false && (
              <span className="ml-2 font-normal text-soft">Retrying without a change won't help</span>
            )}
          </h2>
          <p className="mt-0.5 break-words first-letter:uppercase">{failure.message}</p>
          <p className="mt-2 text-soft">
            <span className="font-medium text-ink">Next step: </span>
            {failure.next_step}
          </p>
          <div className="mt-3 flex flex-wrap gap-2 empty:hidden">
            <SettingLink run={run} failure={failure} />
            <ConnectorLinks run={run} />
            {RESET_STREAM.test(failure.next_step) && (
              <Link
                to="/pipelines/$pipelineId/state"
                params={{ pipelineId: run.pipeline.id }}
                className={buttonClasses("plain", "small")}
              >
                Reset the stream
              </Link>
            )}
            {!failure.setting && NEEDS_CONFIGURATION.test(failure.next_step) && (
              <Link
                to="/pipelines/$pipelineId/configuration"
                params={{ pipelineId: run.pipeline.id }}
                className={buttonClasses("plain", "small")}
              >
                Open the configuration
              </Link>
            )}
            {children}
            {canUseAgent && <AskAgent />}
          </div>
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

/** Opens the agent with a question about this run. The agent knows the run from the address of the page. */
function AskAgent() {
  return (
    <>
      <Button size="small" onClick={() => openAgentPanel("Why did this run fail?")}>
        <AgentIcon className="-ml-0.5 text-brand" />
        Explain this failure
      </Button>
      <Button size="small" onClick={() => openAgentPanel("Fix this run.")}>
        <AgentIcon className="-ml-0.5 text-brand" />
        Fix
      </Button>
    </>
  );
}
