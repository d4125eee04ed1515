import { useInfiniteQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { hasOnlyStagedRecords, isLive, STAGED_TITLE } from "@/api/run-status";
import type { Run, RunStream, RunStreamPage } from "@/api/types";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { StatusBadge } from "@/components/status";
import { isObject } from "@/components/schema-form/schema";
import { useNow } from "@/components/clock";
import { formatDuration, secondsBetween } from "@/format/duration";
import { nameInWords } from "@/format/name";
import { formatBytes, formatCount } from "@/format/number";
import { streamsQuery, type StreamFilter } from "./queries";
import { SettingLink } from "./repair/setting-link";
import { steadyStep, type Step } from "./time-left";

/** The streams of a run that has several: the state, the counts and the failure of each. */
export function StreamsCard({ run }: { run: Run }) {
  const [chosenFilter, setFilter] = useState<StreamFilter>("all");
  // A retry can leave no failed stream, and then the buttons are not shown either.
  const filter = run.streams_failed > 0 ? chosenFilter : "all";
  const query = useInfiniteQuery(streamsQuery(run.id, filter, isLive(run.status)));
  const streams = query.data?.pages.flatMap((page) => page.results) ?? [];
  return (
    <section aria-labelledby="streams-title" className="card grid gap-3 p-4">
      <div className="flex min-h-7 flex-wrap items-center gap-2">
        <h2 id="streams-title" className="mr-auto font-semibold">
          Streams{" "}
          <span className="font-normal text-soft">
            {formatCount(run.streams_succeeded)} of {formatCount(run.streams_total)} succeeded
          </span>
        </h2>
        {run.streams_failed > 0 && <FilterButtons run={run} filter={filter} onSelect={setFilter} />}
      </div>
      {/* The first attempt creates the streams. */}
      {(query.isPending || (isLive(run.status) && filter === "all" && streams.length === 0)) && (
        <TableSkeleton rows={run.streams_total} />
      )}
      {query.isError && <ErrorNotice error={query.error} retry={() => void query.refetch()} />}
      <Moments moments={query.data?.pages.at(-1)?.moments ?? []} />
      {streams.length > 0 && <StreamTable run={run} streams={streams} />}
      {query.hasNextPage && (
        <Button
          className="justify-self-start"
          disabledReason={query.isFetchingNextPage ? "Loading" : null}
          onClick={() => void query.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </section>
  );
}

/** Whether the rows of different streams agree, because they were read as of one moment. */
function Moments({ moments }: { moments: RunStreamPage["moments"] }) {
  const [newest] = moments;
  if (!newest?.at) return null;
  if (moments.length === 1) {
    return (
      <p className="text-[0.8125rem] text-soft">
        Read in one snapshot, taken <RelativeTime time={newest.at} />. Rows that refer to each other agree.
      </p>
    );
  }
  return (
    <p className="text-[0.8125rem] text-warn">
      The streams were read at different moments, because the run had several attempts. Rows that refer to
      each other may not agree. The next run reads all of them again.
    </p>
  );
}

function FilterButtons({
  run,
  filter,
  onSelect,
}: {
  run: Run;
  filter: StreamFilter;
  onSelect: (filter: StreamFilter) => void;
}) {
  const names = {
    all: `All ${formatCount(run.streams_total)}`,
    failed: `Failed ${formatCount(run.streams_failed)}`,
  };
  return (
    <div role="group" aria-label="Which streams" className="flex gap-1">
      {(["all", "failed"] as const).map((each) => (
        <Button
          key={each}
          size="small"
          look={each === filter ? "plain" : "quiet"}
          aria-pressed={each === filter}
          onClick={() => onSelect(each)}
        >
          {names[each]}
        </Button>
      ))}
    </div>
  );
}

/** Has about the height of the table, so that the page does not move when it appears. */
function TableSkeleton({ rows }: { rows: number }) {
  const height = Math.min(512, 34 * (Math.min(rows, 200) + 1)); // pixels
  return (
    <div aria-busy="true" className="overflow-hidden" style={{ height }}>
      <Skeletons rows={Math.min(rows, 12)} />
    </div>
  );
}

function StreamTable({ run, streams }: { run: Run; streams: RunStream[] }) {
  return (
    <div role="region" aria-label="Streams" tabIndex={0} className="@container max-h-[32rem] overflow-auto">
      {/* The widths of the columns are fixed, so that they do not move when numbers grow. */}
      <table className="w-full table-fixed text-[0.8125rem]">
        <thead className="sticky top-0 bg-surface text-left text-soft">
          <tr>
            <th className="py-1.5 pr-3 font-medium">Stream</th>
            <th className="w-26 py-1.5 pr-3 font-medium">Status</th>
            <th className="w-40 py-1.5 pr-3 text-right font-medium @max-3xl:w-20 @max-md:hidden">Read</th>
            <th className="w-20 py-1.5 pr-3 text-right font-medium">Written</th>
            <th className="w-18 py-1.5 pr-3 text-right font-medium whitespace-nowrap @max-xl:hidden">
              Left out
            </th>
            <th className="w-20 py-1.5 pr-3 text-right font-medium @max-3xl:hidden">Volume</th>
            <th className="w-30 py-1.5 text-right font-medium @max-md:hidden">Duration</th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {streams.map((stream) => (
            <Fragment key={stream.position}>
              <StreamRow stream={stream} />
              {stream.failure && <FailureRow run={run} stream={stream} failure={stream.failure} />}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface FailureRowProps {
  run: Run;
  stream: RunStream;
  failure: NonNullable<RunStream["failure"]>;
}

/** Why the stream above has failed. It is wider than the name of the stream, so it needs fewer lines. Narrow tables have three columns. */
function FailureRow({ run, stream, failure }: FailureRowProps) {
  return (
    <tr>
      <td colSpan={3} className="pr-3 pb-1.5">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <p className="text-bad wrap-break-word first-letter:uppercase">
            <span className="font-medium">{nameInWords(failure.class)}:</span> {failure.message}
          </p>
          <SettingLink run={run} failure={failure} stream={stream.stream} />
        </div>
      </td>
    </tr>
  );
}

function StreamRow({ stream }: { stream: RunStream }) {
  return (
    <tr className={classNames("align-top", stream.failure && "border-b-0")}>
      <td className="py-1.5 pr-3 wrap-anywhere">
        {stream.stream}
        {stream.table !== stream.stream && <p className="text-xs text-soft">to {stream.table}</p>}
        <Position stream={stream} />
      </td>
      <td className="py-1.5 pr-3">
        <StatusBadge
          status={stream.status}
          label={stream.status === "cancelled" && stream.started_at === null ? "Not started" : undefined}
        />
      </td>
      <td className="py-1.5 pr-3 text-right whitespace-nowrap tabular-nums @max-md:hidden">
        {formatCount(stream.read)}
        {stream.status === "running" && stream.total !== null && (
          <span className="text-faint @max-3xl:hidden"> of {formatCount(stream.total)}</span>
        )}
      </td>
      <td className="py-1.5 pr-3 text-right tabular-nums">
        {formatCount(stream.written)}
        {hasOnlyStagedRecords(stream) && (
          <p className="text-xs text-soft" title={STAGED_TITLE}>
            staged
          </p>
        )}
      </td>
      <td className="py-1.5 pr-3 text-right tabular-nums @max-xl:hidden">
        {formatCount(stream.rejected + stream.skipped)}
      </td>
      <td className="py-1.5 pr-3 text-right whitespace-nowrap tabular-nums @max-3xl:hidden">
        {formatBytes(stream.bytes)}
      </td>
      <td className="py-1.5 text-right whitespace-nowrap tabular-nums @max-md:hidden">
        <StreamDuration stream={stream} />
      </td>
    </tr>
  );
}

/** How long the stream took, or the time left while it is read and its number of records is known. */
function StreamDuration({ stream }: { stream: RunStream }) {
  const now = useNow();
  if (stream.duration_seconds !== null) return formatDuration(stream.duration_seconds);
  if (stream.status !== "running" || !stream.started_at || !stream.total || stream.read === 0) return "–";
  const secondsSoFar = secondsBetween(stream.started_at, null, now);
  const share = Math.min(1, stream.read / stream.total);
  return <SteadyTimeLeft seconds={(secondsSoFar * (1 - share)) / share} />;
}

function SteadyTimeLeft({ seconds }: { seconds: number }) {
  const [shown, setShown] = useState<Step | null>(null);
  const step = steadyStep(seconds, shown);
  if (step !== shown) setShown(step);
  return `about ${step.text} left`;
}

/** How far an incremental stream was read before and after the run. */
function Position({ stream }: { stream: RunStream }) {
  const after = positionInWords(stream.cursor_after);
  const before = positionInWords(stream.cursor_before);
  if (after === null || after === before) return null;
  return (
    <p className="mt-0.5 text-xs text-faint wrap-anywhere">
      {before === null ? `Read up to ${after}` : `Read from ${before} to ${after}`}
    </p>
  );
}

/** The value of the cursor column, or null if there is none or only the source can read the position. */
function positionInWords(position: unknown): string | null {
  if (!isObject(position) || !Array.isArray(position.after)) return null;
  const [value] = position.after as unknown[];
  return typeof value === "string" || typeof value === "number" ? String(value) : null;
}
