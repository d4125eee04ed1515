import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useState, type ReactNode } from "react";
import { ActionRefused, ProblemError } from "@/api/problem";
import type { StoredRows } from "@/api/types";
import { Button } from "@/components/button";
import { EmptyState, ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { showError, showSuccess } from "@/components/toast";
import { countWithNoun, formatCount } from "@/format/number";
import { CellDialog } from "./cell-dialog";
import { recordsQuery, type RecordsOf } from "./queries";
import { RecordsTable, Value, type CellPosition } from "./records-table";

interface Props {
  of: RecordsOf;
  /** The stream of the URL; undefined for the first one. */
  stream: string | undefined;
  onSelectStream: (stream: string) => void;
  /** What to do if no run has written records yet. */
  emptyAction?: ReactNode;
  /** Whether the run may still write records. */
  isLive?: boolean;
}

/** The records that have arrived at the destination, in a table. */
export function RecordsPanel({ of, stream, onSelectStream, emptyAction, isLive = false }: Props) {
  const query = useInfiniteQuery(recordsQuery(of, stream));
  const first = query.data?.pages[0];
  const reload = () => void query.refetch();
  return (
    <section aria-labelledby="records-title" className="card min-w-0">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2">
        <h2 id="records-title" className="mr-auto font-semibold">
          Records{" "}
          {first?.run_id && first.ok && (
            <span className="font-normal text-faint">{howMany(first, query.data!.pages)}</span>
          )}
        </h2>
        {first && first.streams.length > 1 && <StreamChooser first={first} onSelectStream={onSelectStream} />}
        {first?.run_id && (
          <Button size="small" disabledReason={query.isFetching ? "Loading" : null} onClick={reload}>
            Reload
          </Button>
        )}
      </div>
      {query.isPending && <Skeletons rows={8} />}
      {query.isError && !first && <LoadError error={query.error} retry={reload} />}
      {first && !first.ok && first.failure && (
        <div className="p-3">
          <FailureNotice {...first.failure} retry={reload} />
        </div>
      )}
      {first?.ok && !first.run_id && (
        <EmptyState
          title={isLive ? "The run has not written records yet" : "No run has written records yet"}
          action={emptyAction}
        >
          The records appear here as soon as a run has published them at the destination.
        </EmptyState>
      )}
      {first?.ok && first.run_id && first.records.length === 0 && (
        <EmptyState title="The table has no records">
          The run has written none, or they were deleted at the destination.
        </EmptyState>
      )}
      {first?.ok && first.records.length > 0 && (
        <LoadedRecords
          key={first.stream}
          of={of}
          pages={query.data!.pages}
          loadMore={query.hasNextPage && !query.isFetching ? () => void query.fetchNextPage() : null}
        />
      )}
      {query.isFetchNextPageError && (
        <div className="p-3">
          <ErrorNotice error={query.error} retry={() => void query.fetchNextPage()} />
        </div>
      )}
    </section>
  );
}

function howMany(first: StoredRows, pages: StoredRows[]): string {
  if (first.total !== null) return countWithNoun(first.total, "record");
  const loaded = pages.reduce((sum, page) => sum + page.records.length, 0);
  return pages.at(-1)!.next_offset === null
    ? countWithNoun(loaded, "record")
    : `the first ${formatCount(loaded)}`;
}

function LoadError({ error, retry }: { error: unknown; retry: () => void }) {
  const isImpossible = error instanceof ProblemError && error.code === "not_readable";
  if (!isImpossible)
    return (
      <div className="p-3">
        <ErrorNotice error={error} retry={retry} />
      </div>
    );
  return <EmptyState title="These records cannot be shown">{error.message}</EmptyState>;
}

function StreamChooser({
  first,
  onSelectStream,
}: {
  first: StoredRows;
  onSelectStream: (stream: string) => void;
}) {
  const streams = first.streams.includes(first.stream) ? first.streams : [first.stream, ...first.streams];
  return (
    <label className="flex min-w-0 items-center gap-2">
      <span className="text-soft">Stream</span>
      <select
        className="control h-7! w-auto! max-w-64 min-w-0"
        value={first.stream}
        onChange={({ target }) => onSelectStream(target.value)}
      >
        {streams.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

function LoadedRecords({
  of,
  pages,
  loadMore,
}: {
  of: RecordsOf;
  pages: StoredRows[];
  loadMore: (() => void) | null;
}) {
  const [selected, setSelected] = useState<CellPosition | null>(null);
  const [opened, setOpened] = useState<CellPosition | null>(null);
  const first = pages[0]!;
  const records = pages.flatMap((page) => page.records);
  const cut = cutCells(pages);
  const textAt = ({ row, column }: CellPosition) => records[row]?.[column] ?? null;
  const isCut = ({ row, column }: CellPosition) => cut.has(`${row}/${column}`);
  const copy = useCallback((text: string) => {
    navigator.clipboard.writeText(text).then(
      () => showSuccess("Copied"),
      () => showError(new ActionRefused("The browser did not allow copying.")),
    );
  }, []);
  function copyCell(position: CellPosition) {
    // The table has only the beginning of this value. The dialog fetches the rest.
    if (isCut(position)) setOpened(position);
    else copy(textAt(position) ?? "");
  }
  return (
    <>
      <RecordsTable
        label={`Records of ${first.stream}`}
        columns={first.columns}
        records={records}
        selected={selected}
        onSelect={setSelected}
        onOpen={setOpened}
        onCopy={copyCell}
        loadMore={loadMore}
      />
      <div className="flex min-h-11 flex-wrap items-center gap-2 border-t border-line px-3 py-1.5">
        {selected ? (
          <>
            <p className="mr-auto min-w-0 flex-1 truncate text-[0.8125rem]">
              <span className="font-medium">{first.columns[selected.column]?.name}</span>{" "}
              <span className="font-mono">
                <Value text={textAt(selected)} type="string" />
              </span>
            </p>
            <Button
              size="small"
              disabledReason={textAt(selected) === null ? "There is no value" : null}
              onClick={() => copyCell(selected)}
            >
              Copy
            </Button>
            <Button size="small" onClick={() => setOpened(selected)}>
              Open
            </Button>
          </>
        ) : (
          <p className="text-[0.8125rem] text-faint">
            Table <span className="font-mono">{first.table}</span>, written{" "}
            <RelativeTime time={first.written_at} />. Select a value to copy or open it.
          </p>
        )}
      </div>
      {opened && (
        <CellDialog
          of={of}
          stream={first.stream}
          look={first.look}
          column={first.columns[opened.column]!}
          row={opened.row}
          text={textAt(opened)}
          isCut={isCut(opened)}
          onCopy={copy}
          onClose={() => setOpened(null)}
        />
      )}
    </>
  );
}

/** The positions of the values of which the table has only the beginning. */
function cutCells(pages: StoredRows[]): Set<string> {
  const cut = new Set<string>();
  let before = 0;
  for (const page of pages) {
    for (const [row, column] of page.cut) cut.add(`${before + row!}/${column}`);
    before += page.records.length;
  }
  return cut;
}
