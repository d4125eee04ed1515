import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId, useState } from "react";
import type { Backfill, Pipeline } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Hint } from "@/components/hint";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { StatusBadge } from "@/components/status";
import { showSuccess } from "@/components/toast";
import { countWithNoun, formatCount } from "@/format/number";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { BackfillDialog } from "./backfill-dialog";
import { backfillsQuery, useCancelBackfill } from "./queries";

/** The backfills of the pipeline, newest first, with their progress. */
export function Backfills({ pipeline }: { pipeline: Pipeline }) {
  const titleId = useId();
  const { data, error, refetch } = useQuery(backfillsQuery(pipeline.id));
  const hasPermission = useHasPermission();
  const readOnlyReason = useReadOnlyReason();
  const [isOpen, setIsOpen] = useState(false);
  if (error && !data) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (!data) return <Skeletons rows={2} />;
  const may = (permission: "pipelines.run" | "runs.cancel") =>
    hasPermission(permission, pipeline.domain?.id) && readOnlyReason === null;
  const reason = reasonAgainst(
    pipeline,
    data.streams.map(({ refusal }) => refusal),
  );
  return (
    <section aria-labelledby={titleId} className="card grid min-w-0 gap-3 p-4">
      <div className="flex flex-wrap items-center gap-2">
        <h2 id={titleId} className="mr-auto font-semibold">
          Backfills
        </h2>
        {may("pipelines.run") && (
          <Hint text={reason}>
            <Button size="small" disabledReason={reason} onClick={() => setIsOpen(true)}>
              Start a backfill
            </Button>
          </Hint>
        )}
      </div>
      <p className="text-soft">
        A backfill reads a part of an incremental stream again, or all of it up to its position, and writes it
        to the destination. The position stays as it is, and runs that are due are started in between.
      </p>
      {reason && may("pipelines.run") && <p className="text-soft wrap-anywhere">{reason}</p>}
      {data.results.length > 0 && (
        <ul className="divide-y divide-line border-t border-line">
          {data.results.map((backfill) => (
            <li key={backfill.id} className="grid gap-1.5 py-3 text-[0.8125rem]">
              <BackfillRow pipelineId={pipeline.id} backfill={backfill} canCancel={may("runs.cancel")} />
            </li>
          ))}
        </ul>
      )}
      {isOpen && (
        <BackfillDialog pipelineId={pipeline.id} streams={data.streams} onClose={() => setIsOpen(false)} />
      )}
    </section>
  );
}

/** Why no backfill can be started now, or null. The server refuses it too. */
function reasonAgainst(pipeline: Pipeline, refusals: string[]): string | null {
  if (!pipeline.enabled) return "The pipeline is disabled. Enable it to start a backfill.";
  return refusals.every((refusal) => refusal !== "") ? (refusals[0] ?? null) : null;
}

interface RowProps {
  pipelineId: string;
  backfill: Backfill;
  canCancel: boolean;
}

function BackfillRow({ pipelineId, backfill, canCancel }: RowProps) {
  const [isCancelling, setIsCancelling] = useState(false);
  const { stream, status, chunks, chunks_done: done } = backfill;
  return (
    <>
      <div className="flex flex-wrap items-center gap-2">
        <p className="mr-auto min-w-0 font-medium wrap-anywhere">{stream}</p>
        <StatusBadge status={status} />
        {backfill.run_id && (
          <Link to="/runs/$runId" params={{ runId: backfill.run_id }} className="link">
            Newest run<span className="sr-only"> of the backfill of {stream}</span>
          </Link>
        )}
        {canCancel && status === "running" && (
          <Button size="small" look="danger" onClick={() => setIsCancelling(true)}>
            Cancel<span className="sr-only"> the backfill of {stream}</span>
          </Button>
        )}
      </div>
      <p className="text-soft wrap-anywhere">
        <WindowText backfill={backfill} />
      </p>
      <progress
        aria-label={`Progress of the backfill of ${stream}`}
        max={chunks}
        value={done}
        className="h-1.5 w-full accent-live"
      />
      <p className="text-soft">
        {`${formatCount(done)} of ${countWithNoun(chunks, "run")}, `}
        {progressInWords(backfill)} · started {backfill.created_by ? `by ${backfill.created_by.name} ` : ""}
        <RelativeTime time={backfill.created_at} />
      </p>
      {backfill.failure_message && <p className="text-bad wrap-anywhere">{backfill.failure_message}</p>}
      {isCancelling && (
        <CancelDialog pipelineId={pipelineId} backfill={backfill} onClose={() => setIsCancelling(false)} />
      )}
    </>
  );
}

function WindowText({ backfill }: { backfill: Backfill }) {
  if (backfill.to === null) return "The whole stream";
  return (
    <>
      <code className="font-mono text-[0.78rem]">{backfill.cursor_field}</code> from{" "}
      {backfill.from ?? "the beginning"} to {backfill.to} (not included)
    </>
  );
}

function progressInWords({ rows_read: read, rows_expected: expected, rows_counted: isCounted }: Backfill) {
  if (expected === null) return countWithNoun(read, "record");
  return `${formatCount(read)} of ${isCounted ? "" : "about "}${countWithNoun(expected, "record")}`;
}

interface CancelProps {
  pipelineId: string;
  backfill: Backfill;
  onClose: () => void;
}

function CancelDialog({ pipelineId, backfill, onClose }: CancelProps) {
  const cancel = useCancelBackfill(pipelineId);
  return (
    <ConfirmDialog
      open
      title={`Cancel the backfill of ${backfill.stream}?`}
      confirmLabel={cancel.isPending ? "Cancelling…" : "Cancel backfill"}
      danger
      disabledReason={cancel.isPending ? "Cancelling" : null}
      onClose={onClose}
      onConfirm={() =>
        cancel.mutate(backfill.id, {
          onSuccess: () => {
            onClose();
            showSuccess(`The backfill of ${backfill.stream} was cancelled.`);
          },
        })
      }
    >
      <div className="grid gap-3">
        <p>The run in progress is cancelled. The records of the runs before it stay in the destination.</p>
        {cancel.error && <ErrorNotice error={cancel.error} />}
      </div>
    </ConfirmDialog>
  );
}
