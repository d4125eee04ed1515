import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId, useState } from "react";
import type { PositionChange } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Hint } from "@/components/hint";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { showSuccess } from "@/components/toast";
import { absoluteTime } from "@/format/time";
import { positionHistoryQuery, useRestorePosition } from "./queries";
import { StateError } from "./state-error";

type Side = "before" | "after";

interface Props {
  pipelineId: string;
  stream: string;
  /** The position from which the next run continues, or null. */
  position: unknown;
  canRestore: boolean;
  /** Why nothing can be restored now, or null. */
  runningReason: string | null;
}

/** The changes of a stream's saved position, newest first, with buttons that restore an earlier position. */
export function PositionHistory({ pipelineId, stream, position, canRestore, runningReason }: Props) {
  const titleId = useId();
  const query = useInfiniteQuery(positionHistoryQuery(pipelineId, stream));
  const [chosen, setChosen] = useState<{ change: PositionChange; side: Side } | null>(null);
  if (query.error && !query.data) {
    return <ErrorNotice error={query.error} retry={() => void query.refetch()} />;
  }
  if (!query.data) return <Skeletons rows={2} />;
  const changes = query.data.pages.flatMap(({ results }) => results);
  if (changes.length === 0) {
    return <p className="text-soft">The position has not changed since Drover keeps its history.</p>;
  }
  return (
    <div className="grid gap-2">
      <h3 id={titleId} className="text-[0.8125rem] font-medium">
        Changes of the position
      </h3>
      <ol aria-labelledby={titleId} className="divide-y divide-line border-y border-line">
        {changes.map((change) => (
          <li key={change.id} className="grid gap-1.5 py-2 text-[0.8125rem]">
            <p className="text-soft">
              <Cause change={change} /> · <RelativeTime time={change.at} />
            </p>
            <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-1.5">
              {(["before", "after"] as const).map((side) => (
                <Position
                  key={side}
                  change={change}
                  side={side}
                  canRestore={canRestore && !isSame(change[side], position)}
                  runningReason={runningReason}
                  onRestore={() => setChosen({ change, side })}
                />
              ))}
            </dl>
          </li>
        ))}
      </ol>
      {query.hasNextPage && (
        <Button
          size="small"
          className="justify-self-start"
          disabledReason={query.isFetchingNextPage ? "Loading" : null}
          onClick={() => void query.fetchNextPage()}
        >
          Show more
        </Button>
      )}
      {chosen && (
        <RestoreDialog pipelineId={pipelineId} stream={stream} {...chosen} onClose={() => setChosen(null)} />
      )}
    </div>
  );
}

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** What has changed the position, in words. */
function Cause({ change }: { change: PositionChange }) {
  if (change.cause === "run") {
    if (!change.run_id) return "A run";
    return (
      <Link to="/runs/$runId" params={{ runId: change.run_id }} className="link">
        A run
      </Link>
    );
  }
  const author = change.changed_by?.name ?? "a former member";
  return `${CAUSES[change.cause]} by ${author}`;
}

const CAUSES = { edit: "Edited", reset: "Reset", restore: "Restored" };

interface PositionProps {
  change: PositionChange;
  side: Side;
  canRestore: boolean;
  runningReason: string | null;
  onRestore: () => void;
}

function Position({ change, side, canRestore, runningReason, onRestore }: PositionProps) {
  const value = change[side];
  const isTooLong = value === null && !change.complete;
  return (
    <>
      <dt className="text-faint">{side === "before" ? "Before" : "After"}</dt>
      <dd className="flex min-w-0 flex-wrap items-baseline gap-2">
        {value === null ? (
          <span className="text-soft">{isTooLong ? "Too long to show, or none" : "None"}</span>
        ) : (
          <code className="max-h-40 min-w-0 overflow-y-auto font-mono text-[0.78rem] wrap-anywhere">
            {JSON.stringify(value)}
          </code>
        )}
        {canRestore && (value !== null || isTooLong) && (
          <Hint text={runningReason}>
            <Button size="small" look="quiet" disabledReason={runningReason} onClick={onRestore}>
              Restore
              <span className="sr-only">
                {" "}
                the position {side} the change of {absoluteTime(change.at)}
              </span>
            </Button>
          </Hint>
        )}
      </dd>
    </>
  );
}

interface RestoreProps {
  pipelineId: string;
  stream: string;
  change: PositionChange;
  side: Side;
  onClose: () => void;
}

function RestoreDialog({ pipelineId, stream, change, side, onClose }: RestoreProps) {
  const restore = useRestorePosition(pipelineId);
  const value = change[side];
  return (
    <ConfirmDialog
      open
      title={`Restore the position of ${stream}?`}
      confirmLabel={restore.isPending ? "Restoring…" : "Restore position"}
      disabledReason={restore.isPending ? "Restoring" : null}
      onClose={onClose}
      onConfirm={() =>
        restore.mutate(
          { change: change.id, side },
          {
            onSuccess: () => {
              onClose();
              showSuccess(`The next run of ${stream} continues from the restored position.`);
            },
          },
        )
      }
    >
      <div className="grid gap-2">
        <p>
          The next run reads the records after this position. Records between an earlier position and the
          current one are read again; with a later position they are not read.
        </p>
        {value !== null && (
          <pre className="max-h-60 overflow-auto font-mono text-[0.78rem] wrap-anywhere whitespace-pre-wrap">
            {JSON.stringify(value, null, 2)}
          </pre>
        )}
        {restore.error && <StateError error={restore.error} />}
      </div>
    </ConfirmDialog>
  );
}
