import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { AttentionFix } from "@/api/types";
import { describeError } from "@/api/problem";
import { Button, buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { PlayIcon, RetryIcon } from "@/components/icons";
import { useFix } from "./queries";

interface Props {
  fix: AttentionFix;
  /** The name of what it fixes, for screen readers. */
  name: string;
  quiet?: boolean;
}

/** A button that repairs something at once, or a link to the page where it can be repaired. */
export function FixButton({ fix, name, quiet = false }: Props) {
  if (fix.action === "retry" || fix.action === "run") return <RunButton fix={fix} name={name} />;
  return (
    <FixLink fix={fix} className={classNames(buttonClasses(quiet ? "quiet" : "plain", "small"), "max-w-48")}>
      <span className="truncate">{labelOf(fix)}</span>
      <span className="sr-only">: {name}</span>
    </FixLink>
  );
}

function RunButton({ fix, name }: Pick<Props, "fix" | "name">) {
  const start = useFix(fix);
  const isRetry = fix.action === "retry";
  if (start.isSuccess)
    return (
      <span role="status">
        <Link to="/runs/$runId" params={{ runId: start.data.id }} className={buttonClasses("plain", "small")}>
          Started, open run
        </Link>
      </span>
    );
  return (
    <span className="flex flex-col items-end gap-1">
      <Button
        size="small"
        disabledReason={start.isPending ? "Starting" : null}
        onClick={() => start.mutate()}
      >
        {isRetry ? <RetryIcon className="-ml-0.5" /> : <PlayIcon className="-ml-0.5" />}
        {isRetry ? "Retry" : "Run now"}
        <span className="sr-only">: {name}</span>
      </Button>
      {start.isError && (
        <span role="alert" className="text-xs text-bad">
          {describeError(start.error).title}
        </span>
      )}
    </span>
  );
}

function labelOf(fix: AttentionFix): string {
  switch (fix.action) {
    case "open_connector":
      return `Open ${fix.name}`;
    case "open_run":
      return "Open run";
    case "open_configuration":
      return "Open configuration";
    case "reset_stream":
      return "Reset the stream";
    case "decide":
    case "open_request":
      return "Decide";
    case "open_conversation":
      return "Answer";
    case "open_usage":
      return "View limits";
    default:
      return "Open pipeline";
  }
}

function FixLink({ fix, ...link }: { fix: AttentionFix; className: string; children: ReactNode }) {
  return <Link {...targetOf(fix)} {...link} />;
}

function targetOf({ action, id }: AttentionFix): Pick<LinkProps, "to" | "params"> {
  const key = id ?? "";
  switch (action) {
    case "open_connector":
      return { to: "/connectors/$connectorId", params: { connectorId: key } };
    case "open_run":
      return { to: "/runs/$runId", params: { runId: key } };
    case "open_configuration":
      return { to: "/pipelines/$pipelineId/configuration", params: { pipelineId: key } };
    case "reset_stream":
      return { to: "/pipelines/$pipelineId/state", params: { pipelineId: key } };
    case "open_request":
      return { to: "/approvals/$requestId", params: { requestId: key } };
    case "open_conversation":
      return { to: "/agent/$conversationId", params: { conversationId: key } };
    case "open_usage":
      return { to: "/settings/usage" };
    default:
      return { to: "/pipelines/$pipelineId", params: { pipelineId: key } };
  }
}
