import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { FollowUpCall } from "@/api/types";
import { Name } from "@/components/name";
import { RelativeTime } from "@/components/relative-time";
import { QueryContent } from "@/components/section";
import { StatusBadge } from "@/components/status";
import { followUpCallsQuery } from "@/components/follow-ups/queries";

const STATUSES = { pending: "pending", sent: "succeeded", failed: "failed" } as const;
const WORDS = { pending: "Waiting", sent: "Accepted", failed: "Failed" } as const;

/** The newest calls after the runs of the pipeline, with their answers. */
export function CallLog({ pipelineId }: { pipelineId: string }) {
  const calls = useQuery(followUpCallsQuery(pipelineId));
  return (
    <section aria-label="Newest calls">
      <h3 className="mb-1 text-[0.8125rem] font-medium">Newest calls</h3>
      <QueryContent query={calls}>
        {({ results }) =>
          results.length === 0 ? (
            <p className="text-soft">Nothing has been called yet.</p>
          ) : (
            <ol
              tabIndex={0}
              aria-label="Newest calls"
              className="max-h-72 divide-y divide-line overflow-y-auto"
            >
              {results.map((call) => (
                <li key={call.id} className="grid gap-0.5 py-2">
                  <span className="flex flex-wrap items-center gap-x-2">
                    <StatusBadge status={STATUSES[call.state]} label={labelOf(call)} />
                    <Name>{call.follow_up.name}</Name>
                    <Link
                      to="/runs/$runId"
                      params={{ runId: call.run_id }}
                      className="text-[0.8125rem] hover:underline"
                    >
                      {call.test ? "test" : "after the run"} <RelativeTime time={call.created_at} />
                    </Link>
                  </span>
                  <span className="text-[0.8125rem] wrap-anywhere text-soft">
                    <Outcome call={call} />
                  </span>
                </li>
              ))}
            </ol>
          )
        }
      </QueryContent>
    </section>
  );
}

function labelOf({ state, attempts }: FollowUpCall): string {
  return state === "pending" && attempts > 0 ? "Retrying" : WORDS[state];
}

function Outcome({
  call: { state, problem, answer, answer_status, next_attempt_at, attempts },
}: {
  call: FollowUpCall;
}) {
  if (state === "sent")
    return (
      <>
        Status {answer_status}
        {answer && <>: {answer}</>}
      </>
    );
  if (state === "failed")
    return (
      <>
        {problem} {answer}
      </>
    );
  if (attempts === 0) return <>It is being called…</>;
  return (
    <>
      {problem} It is called again <RelativeTime time={next_attempt_at} />
    </>
  );
}
