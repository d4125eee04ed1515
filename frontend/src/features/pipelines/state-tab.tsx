import { useQuery } from "@tanstack/react-query";
import { useId, useMemo, useState } from "react";
import { reasonOfLiveRun } from "@/api/run-status";
import type { Pipeline, StreamState } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Hint } from "@/components/hint";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { isObject } from "@/components/schema-form/schema";
import { useStreamSearch } from "@/components/stream-search";
import { showSuccess } from "@/components/toast";
import { SYNC_MODES } from "@/format/modes";
import { nameInWords } from "@/format/name";
import { countWithNoun } from "@/format/number";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { usePipelinePage } from "./page-context";
import { Backfills } from "./backfills/backfills";
import { PositionHistory } from "./state/position-history";
import { stateQuery, useResetStream, useSetPosition } from "./state/queries";
import { StateError } from "./state/state-error";

/** Where each stream continues, with buttons to change that. */
export function StateTab() {
  const { pipeline } = usePipelinePage();
  const { data, error, refetch } = useQuery(stateQuery(pipeline.id));
  const readOnlyReason = useReadOnlyReason();
  const canEdit = useHasPermission()("state.edit", pipeline.domain?.id) && readOnlyReason === null;
  const streams = useMemo(() => streamsOf(pipeline, data?.streams ?? []), [pipeline, data]);
  const search = useStreamSearch([...streams.keys()]);
  const [isResettingAll, setIsResettingAll] = useState(false);
  const runningReason = reasonOfRun(pipeline);
  if (error && !data) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (!data) return <Skeletons rows={3} />;
  return (
    <div className="grid max-w-4xl gap-3">
      <p className="text-soft">
        An incremental stream continues after its position. After a reset the next run reads all records
        again, decides all types again, and replaces the rows that this pipeline has published.
      </p>
      <Backfills pipeline={pipeline} />
      {streams.size > 1 && (
        <div className="flex flex-wrap items-center gap-2">
          {search.field}
          {canEdit && data.streams.length > 0 && (
            <Hint text={runningReason}>
              <Button look="danger" disabledReason={runningReason} onClick={() => setIsResettingAll(true)}>
                Reset all streams
              </Button>
            </Hint>
          )}
        </div>
      )}
      <ul className="grid gap-3">
        {search.shown.map((stream) => (
          <li key={stream} className="card min-w-0 p-4">
            <StreamCard
              pipeline={pipeline}
              stream={stream}
              syncMode={streams.get(stream)!.syncMode}
              state={streams.get(stream)!.state}
              canEdit={canEdit}
            />
          </li>
        ))}
      </ul>
      {streams.size === 0 ? (
        <p className="text-soft">The patterns have chosen no stream yet. The first run will.</p>
      ) : (
        search.note
      )}
      {isResettingAll && (
        <ResetDialog pipelineId={pipeline.id} stream={null} onClose={() => setIsResettingAll(false)} />
      )}
    </div>
  );
}

interface KnownStream {
  syncMode: string;
  /** Null before the first run of the stream. */
  state: StreamState | null;
}

/** The streams that the pipeline names, and those that its patterns have chosen and that have run, by name. */
function streamsOf({ config }: Pipeline, states: StreamState[]): ReadonlyMap<string, KnownStream> {
  const byName = new Map(states.map((state) => [state.stream, state]));
  const named = config.streams.map(({ stream, sync_mode: syncMode }) => ({
    stream,
    syncMode,
    state: byName.get(stream) ?? null,
  }));
  const run = states.map((state) => ({ stream: state.stream, syncMode: state.sync_mode, state }));
  return new Map([...run, ...named].map(({ stream, ...known }) => [stream, known]));
}

/** Why the state cannot be changed now, or null. The server refuses it too. */
function reasonOfRun({ last_run }: Pipeline): string | null {
  const reason = reasonOfLiveRun(last_run);
  return reason && `${reason} Wait until it ends, or cancel it.`;
}

interface StreamProps {
  pipeline: Pipeline;
  stream: string;
  syncMode: string;
  state: StreamState | null;
  canEdit: boolean;
}

function StreamCard({ pipeline, stream, syncMode, state, canEdit }: StreamProps) {
  const titleId = useId();
  const historyId = useId();
  const [dialog, setDialog] = useState<"position" | "reset" | null>(null);
  const [showsHistory, setShowsHistory] = useState(false);
  const runningReason = reasonOfRun(pipeline);
  const hasPosition = state !== null && state.state !== null;
  return (
    <section aria-labelledby={titleId} className="grid min-w-0 gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <h2 id={titleId} className="mr-auto min-w-0 font-semibold wrap-anywhere">
          {stream}
        </h2>
        {state && (
          <Button
            size="small"
            aria-expanded={showsHistory}
            aria-controls={showsHistory ? historyId : undefined}
            onClick={() => setShowsHistory(!showsHistory)}
          >
            History<span className="sr-only"> of {stream}</span>
          </Button>
        )}
        {canEdit && state && (
          <>
            {syncMode === "incremental" && (
              <Hint text={runningReason}>
                <Button size="small" disabledReason={runningReason} onClick={() => setDialog("position")}>
                  Edit position<span className="sr-only"> of {stream}</span>
                </Button>
              </Hint>
            )}
            <Hint text={runningReason}>
              <Button
                size="small"
                look="danger"
                disabledReason={runningReason}
                onClick={() => setDialog("reset")}
              >
                Reset stream<span className="sr-only"> {stream}</span>
              </Button>
            </Hint>
          </>
        )}
      </div>
      {state ? (
        <StateFacts state={state} isRunning={runningReason !== null} />
      ) : (
        <p className="text-soft">
          This stream has not run yet. The first run reads all records; there is nothing to reset.
        </p>
      )}
      {runningReason && canEdit && <p className="text-wait">{runningReason}</p>}
      {showsHistory && (
        <div id={historyId}>
          <PositionHistory
            pipelineId={pipeline.id}
            stream={stream}
            position={state?.state ?? null}
            canRestore={canEdit && syncMode === "incremental"}
            runningReason={runningReason}
          />
        </div>
      )}
      {dialog === "position" && (
        <PositionDialog
          pipelineId={pipeline.id}
          stream={stream}
          position={hasPosition ? state.state : {}}
          onClose={() => setDialog(null)}
        />
      )}
      {dialog === "reset" && (
        <ResetDialog pipelineId={pipeline.id} stream={stream} onClose={() => setDialog(null)} />
      )}
    </section>
  );
}

/** What became of the last sync. The engine still calls it running if its run has failed. */
function outcomeOf({ status }: StreamState, isRunning: boolean): string {
  const isUnfinished = ["started", "running"].includes(status) && !isRunning;
  return isUnfinished ? "did not finish" : nameInWords(status).toLowerCase();
}

function StateFacts({ state, isRunning }: { state: StreamState; isRunning: boolean }) {
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1.5 text-[0.8125rem]">
      <dt className="text-faint">Position</dt>
      <dd className="min-w-0">
        {state.state === null ? (
          <span className="text-soft">None: the next run reads all records</span>
        ) : (
          <pre className="font-mono text-[0.78rem] wrap-anywhere whitespace-pre-wrap">
            {JSON.stringify(state.state, null, 2)}
          </pre>
        )}
      </dd>
      <dt className="text-faint">Last sync</dt>
      <dd>
        {SYNC_MODES[state.sync_mode] ?? state.sync_mode}, {outcomeOf(state, isRunning)},{" "}
        <RelativeTime time={state.updated_at} />
      </dd>
      <dt className="text-faint">Records</dt>
      <dd>
        {[
          `${countWithNoun(state.written, "record")} written`,
          `${state.rejected} rejected`,
          `${state.skipped} skipped`,
        ].join(", ")}
      </dd>
      {state.columns && (
        <>
          <dt className="text-faint">Columns</dt>
          <dd className="min-w-0">
            <details>
              <summary className="cursor-pointer">
                {countWithNoun(state.columns.length, "column")} in the source
              </summary>
              <ul aria-label="Columns" className="mt-1 max-h-64 overflow-auto font-mono text-[0.78rem]">
                {state.columns.map(({ name, type }) => (
                  <li key={name} className="flex flex-wrap gap-x-3">
                    <span className="wrap-anywhere">{name}</span>
                    <span className="text-faint">{type}</span>
                  </li>
                ))}
              </ul>
            </details>
          </dd>
        </>
      )}
    </dl>
  );
}

interface DialogProps {
  pipelineId: string;
  stream: string;
  onClose: () => void;
}

type ResetProps = Omit<DialogProps, "stream"> & { stream: string | null };

/** Asks before the reset of a stream, or of all streams for null. */
function ResetDialog({ pipelineId, stream, onClose }: ResetProps) {
  const reset = useResetStream(pipelineId);
  return (
    <ConfirmDialog
      open
      title={stream === null ? "Reset all streams?" : `Reset ${stream}?`}
      confirmLabel={reset.isPending ? "Resetting…" : stream === null ? "Reset all streams" : "Reset stream"}
      danger
      disabledReason={reset.isPending ? "Resetting" : null}
      onClose={onClose}
      onConfirm={() =>
        reset.mutate(stream, {
          onSuccess: () => {
            onClose();
            showSuccess(
              stream === null
                ? "All streams were reset. The next run reads all records again."
                : `${stream} was reset. The next run reads all records again.`,
            );
          },
        })
      }
    >
      <div className="grid gap-3">
        <p>
          The next run reads all records of the source again and replaces the rows that this pipeline has
          published. Until then nothing changes in the destination.
        </p>
        {reset.error && <StateError error={reset.error} />}
      </div>
    </ConfirmDialog>
  );
}

function PositionDialog({ pipelineId, stream, position, onClose }: DialogProps & { position: unknown }) {
  const id = useId();
  const [text, setText] = useState(JSON.stringify(position, null, 2));
  const setPosition = useSetPosition(pipelineId);
  const parsed = parsePosition(text);
  return (
    <ConfirmDialog
      open
      title={`Position of ${stream}`}
      confirmLabel={setPosition.isPending ? "Saving…" : "Save position"}
      disabledReason={
        setPosition.isPending ? "Saving" : parsed === null ? "The position must be a JSON object" : null
      }
      onClose={onClose}
      onConfirm={() =>
        parsed &&
        setPosition.mutate(
          { stream, position: parsed },
          {
            onSuccess: () => {
              onClose();
              showSuccess(`The next run of ${stream} continues from the new position.`);
            },
          },
        )
      }
    >
      <div className="grid gap-2">
        <p>
          The next run reads the records after this position. If it is later than the saved one, the records
          in between are left out; if it is earlier, they are read again.
        </p>
        <label htmlFor={id} className="text-[0.8125rem] font-medium text-ink">
          Position (JSON)
        </label>
        <textarea
          id={id}
          className="control font-mono text-[0.78rem]!"
          rows={6}
          spellCheck={false}
          aria-invalid={parsed === null || undefined}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        {parsed === null && <p className="text-xs text-bad">This is not a JSON object.</p>}
        {setPosition.error && <StateError error={setPosition.error} />}
      </div>
    </ConfirmDialog>
  );
}

/** The object that the text describes, or null if it is no JSON object. */
function parsePosition(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
