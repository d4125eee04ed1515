import { useState } from "react";
import type { BackfillEstimate, BackfillPossibility, BackfillWindow } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Field, TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { showSuccess } from "@/components/toast";
import { countWithNoun } from "@/format/number";
import { useCreateBackfill, useEstimateBackfill } from "./queries";

interface Props {
  pipelineId: string;
  streams: BackfillPossibility[];
  onClose: () => void;
}

/** Asks for a stream and a window of its cursor field, and starts its backfill. */
export function BackfillDialog({ pipelineId, streams, onClose }: Props) {
  const possible = streams.filter(({ refusal }) => refusal === "");
  const impossible = streams.filter(({ refusal }) => refusal !== "");
  const [name, setName] = useState(possible[0]?.stream ?? "");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const create = useCreateBackfill(pipelineId);
  const estimate = useEstimateBackfill(pipelineId);
  const chosen = streams.find(({ stream }) => stream === name);
  const readsWhole = chosen?.reads_whole ?? false;
  const body: BackfillWindow = {
    streams: [name],
    from: (!readsWhole && from.trim()) || null,
    to: (!readsWhole && to.trim()) || null,
  };
  const isBusy = create.isPending || estimate.isPending;
  /** Changes an input. What the source has answered was about another window. */
  function change(set: (value: string) => void): OnChange {
    return ({ target }) => {
      set(target.value);
      estimate.reset();
      create.reset();
    };
  }
  const error = create.error ?? estimate.error;
  return (
    <ConfirmDialog
      open
      title="Start a backfill"
      confirmLabel={create.isPending ? "Starting…" : "Start backfill"}
      disabledReason={isBusy ? "Wait for the source" : null}
      onClose={onClose}
      onConfirm={() =>
        create.mutate(body, {
          onSuccess: () => {
            onClose();
            showSuccess(`The backfill of ${name} begins in a few seconds.`);
          },
        })
      }
    >
      <div className="grid gap-3">
        <Field label="Stream">
          {(control) => (
            <select {...control} className="control" value={name} onChange={change(setName)}>
              {[...possible, ...impossible].map(({ stream, refusal }) => (
                <option key={stream} value={stream} disabled={refusal !== ""}>
                  {refusal === "" ? stream : `${stream} (not possible)`}
                </option>
              ))}
            </select>
          )}
        </Field>
        {readsWhole ? (
          <p>
            The source cannot read a window of a stream, so one run reads all of it again. The position stays
            as it is.
          </p>
        ) : (
          <WindowFields
            stream={chosen}
            from={from}
            to={to}
            onChangeFrom={change(setFrom)}
            onChangeTo={change(setTo)}
          />
        )}
        <p>
          {chosen?.window_mode === "replace"
            ? "In the destination the records of this window are deleted and written again, in one transaction for each run."
            : "In the destination the records are updated or added by their primary key. Records that the source has deleted stay."}
        </p>
        {!readsWhole && (
          <div className="flex flex-wrap items-center gap-2">
            <Button
              size="small"
              disabledReason={isBusy ? "Wait for the source" : null}
              onClick={() => {
                create.reset();
                estimate.mutate(body);
              }}
            >
              {estimate.isPending ? "Estimating…" : "Estimate"}
            </Button>
            <p role="status">{estimate.data && estimateInWords(estimate.data.results)}</p>
          </div>
        )}
        {error && <ErrorNotice error={error} />}
      </div>
    </ConfirmDialog>
  );
}

type OnChange = (event: { target: { value: string } }) => void;

interface WindowFieldsProps {
  stream: BackfillPossibility | undefined;
  from: string;
  to: string;
  onChangeFrom: OnChange;
  onChangeTo: OnChange;
}

/** The values of the cursor field between which records are read again. */
function WindowFields({ stream, from, to, onChangeFrom, onChangeTo }: WindowFieldsProps) {
  const cursor = stream?.cursor_field ?? "cursor";
  const latestEnd = stream?.latest_end;
  return (
    <>
      <TextField
        label={`From (${cursor})`}
        optional
        hint="Blank: from the beginning of the stream."
        placeholder="2026-01-01"
        autoComplete="off"
        value={from}
        onChange={onChangeFrom}
      />
      <TextField
        label={`To (${cursor}, not included)`}
        optional
        hint={`Blank: to the position, ${latestEnd ?? "none"}. Later records are read by the next run.`}
        placeholder={latestEnd ?? ""}
        autoComplete="off"
        value={to}
        onChange={onChangeTo}
      />
    </>
  );
}

function estimateInWords(results: BackfillEstimate[]): string {
  return results
    .map(({ rows, rows_counted, chunks }) => {
      if (rows === null) return "The number of records is unknown";
      const records = countWithNoun(rows, "record");
      return `${rows_counted ? records : `About ${records}`} in ${countWithNoun(chunks, "run")}`;
    })
    .join(", ");
}
