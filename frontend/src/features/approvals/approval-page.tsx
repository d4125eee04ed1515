import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { dataIfFound } from "@/api/problem";
import type { ToolRequest } from "@/api/types";
import { Button } from "@/components/button";
import { ChangeCard } from "@/components/change-card";
import { ItemPlaceholder } from "@/components/error-pages";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { Name } from "@/components/name";
import { toolRequestQuery, useDecide, type DecisionInput } from "./queries";
import { describeState } from "./states";

/** What a program has asked for over MCP. A person approves or rejects it here. */
export function ApprovalPage() {
  const { requestId } = useParams({ from: "/app/approvals/$requestId" });
  const { data, error, refetch } = useQuery(toolRequestQuery(requestId));
  const request = dataIfFound(data, error);
  return (
    <div className="mx-auto max-w-[48rem] px-4 py-5 md:px-6">
      {!request && (
        <ItemPlaceholder
          item="request"
          error={error}
          retry={() => void refetch()}
          wasShown={data !== undefined}
        />
      )}
      {request && <Request key={request.id} request={request} />}
    </div>
  );
}

function Request({ request }: { request: ToolRequest }) {
  return (
    <>
      <nav aria-label="Breadcrumb" className="mb-1 text-[0.8125rem] text-faint">
        <Link to="/approvals" className="hover:underline">
          Requests of programs
        </Link>
      </nav>
      <PageHeader title={request.card.title} />
      <p className="mb-4 text-soft">
        A program with the API key <Name className="font-semibold">{request.key_name}</Name> asked for this{" "}
        <RelativeTime time={request.created_at} />.
      </p>
      <section aria-label="What would change" className="card grid min-w-0 grid-cols-1 gap-3 p-4">
        <ChangeCard {...request.card} />
      </section>
      <details className="mt-4">
        <summary className="cursor-pointer text-soft">What the program has sent</summary>
        <pre className="mt-2 overflow-auto rounded-card border border-line p-3 font-mono text-[0.78rem]">
          {request.tool} {JSON.stringify(request.arguments, null, 2)}
        </pre>
      </details>
      <p role="status" className="mt-4">
        {describeState(request)}
      </p>
      {request.state === "open" && <DecisionForm request={request} />}
    </>
  );
}

function DecisionForm({ request }: { request: ToolRequest }) {
  const [reason, setReason] = useState("");
  const decide = useDecide(request.id);
  const disabledReason = decide.isPending ? "Sending your decision" : null;
  const send = (decision: DecisionInput["decision"]) =>
    decide.mutate({ decision, reason: decision === "reject" ? reason : "" });
  return (
    <div className="mt-4 grid gap-3">
      {decide.error && <ErrorNotice error={decide.error} />}
      <TextField
        label="Reason of a rejection"
        optional
        hint="The program gets this text."
        maxLength={1000}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      <div className="flex flex-wrap gap-2">
        <Button look="primary" disabledReason={disabledReason} onClick={() => send("approve")}>
          Approve
        </Button>
        <Button look="danger" disabledReason={disabledReason} onClick={() => send("reject")}>
          Reject
        </Button>
      </div>
    </div>
  );
}
