import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import type { ReplayableStream, Run } from "@/api/types";
import { Button } from "@/components/button";
import { Hint } from "@/components/hint";
import { showError } from "@/components/toast";
import { countWithNoun, formatCount } from "@/format/number";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { replayableQuery, useSendAgain } from "./queries";

const EXPLANATION =
  "A new run sends the kept records again, through the pipeline as it is set up now. The position of the stream stays as it is.";
const WHO_MAY_SEND = "Members who may run this pipeline can send the kept records again.";

/** The streams whose rejected records can be sent again, or why they cannot. Who may not send them reads who may. */
export function SendAgain({ run }: { run: Run }) {
  const { data } = useQuery(replayableQuery(run.id, run.status));
  const hasPermission = useHasPermission();
  const readOnlyReason = useReadOnlyReason();
  const streams = data?.results ?? [];
  if (streams.length === 0) return null;
  const maySend = hasPermission("pipelines.run", run.domain_id) && readOnlyReason === null;
  const possible = streams.filter(({ refusal }) => refusal === "");
  return (
    <section aria-labelledby="send-again-title" className="grid gap-2">
      <div className="flex flex-wrap items-center gap-2">
        <h3 id="send-again-title" className="mr-auto font-medium">
          {maySend ? "Send rejected records again" : "Rejected records of each stream"}
        </h3>
        {maySend && possible.length > 1 && <SendButton run={run} label="Send all again" />}
      </div>
      <p className="text-soft">{maySend ? EXPLANATION : (readOnlyReason ?? WHO_MAY_SEND)}</p>
      <ul className="max-h-64 divide-y divide-line overflow-y-auto rounded-card border border-line text-[0.8125rem]">
        {streams.map((stream) => (
          <li key={stream.stream} className="flex flex-wrap items-center gap-2 px-3 py-2">
            <StreamText stream={stream} />
            {maySend && !stream.replay_id && (
              <SendButton run={run} label="Send again" stream={stream.stream} refusal={stream.refusal} />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function StreamText({ stream }: { stream: ReplayableStream }) {
  const { rejected, sendable, refusal } = stream;
  const count = countWithNoun(rejected, "record");
  return (
    <div className="mr-auto min-w-0 flex-1 basis-64">
      <p className="font-medium wrap-anywhere">{stream.stream}</p>
      <p className="text-soft wrap-anywhere">
        {sendable === rejected ? count : `${formatCount(sendable)} of ${count} are kept whole`}
        {refusal && `. ${refusal}`}
        {stream.replay_id && (
          <>
            {" "}
            <Link to="/runs/$runId" params={{ runId: stream.replay_id }} className="link">
              Open that run
            </Link>
          </>
        )}
      </p>
    </div>
  );
}

interface SendButtonProps {
  run: Run;
  label: string;
  stream?: string;
  refusal?: string;
}

function SendButton({ run, label, stream, refusal }: SendButtonProps) {
  const send = useSendAgain(run.id);
  const navigate = useNavigate();
  const reason = send.isPending ? "Starting" : refusal || null;
  return (
    <Hint text={reason}>
      <Button
        size="small"
        disabledReason={reason}
        onClick={() =>
          send.mutate(stream === undefined ? null : [stream], {
            onSuccess: ({ id }) => void navigate({ to: "/runs/$runId", params: { runId: id } }),
            onError: (error) => showError(error),
          })
        }
      >
        {label}
        {stream !== undefined && <span className="sr-only"> the rejected records of {stream}</span>}
      </Button>
    </Hint>
  );
}
