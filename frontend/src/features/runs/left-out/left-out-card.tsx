import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { isLive } from "@/api/run-status";
import type { LeftOutRecord, Run } from "@/api/types";
import { Button } from "@/components/button";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { formatCount } from "@/format/number";
import { SendAgain } from "./send-again";
import { leftOutQuery, type LeftOutKind } from "./queries";

const NAMES: Record<LeftOutKind, string> = { rejected: "Rejected", skipped: "Skipped" };
const EXPLANATIONS: Record<LeftOutKind, string> = {
  rejected:
    "These records could not be read or do not fit. If their share is greater than the pipeline allows, the run fails and publishes nothing.",
  skipped: "The pipeline's settings or its transform leave these records out.",
};

/** The records that the run has read but not written, with the reasons. */
export function LeftOutCard({ run }: { run: Run }) {
  const { rejected, skipped } = run.progress;
  const [kind, setKind] = useState<LeftOutKind>(rejected === 0 && skipped > 0 ? "skipped" : "rejected");
  return (
    <section aria-labelledby="left-out-title" className="card grid gap-3 p-4">
      <div className="flex flex-wrap items-center gap-2">
        <h2 id="left-out-title" className="mr-auto font-semibold">
          Records left out
        </h2>
        {rejected + skipped > 0 && <KindButtons run={run} kind={kind} onSelect={setKind} />}
      </div>
      {rejected + skipped === 0 ? (
        <NothingLeftOut live={isLive(run.status)} />
      ) : (
        <LeftOutRecords key={kind} run={run} kind={kind} />
      )}
    </section>
  );
}

function NothingLeftOut({ live }: { live: boolean }) {
  return (
    <EmptyState title={live ? "No record was left out so far" : "No record was left out"}>
      Records that cannot be read or do not fit are rejected, and records that you choose to leave out, such
      as those for which a transform returns None, are skipped. They are listed here with the reason.
    </EmptyState>
  );
}

function KindButtons({
  run,
  kind,
  onSelect,
}: {
  run: Run;
  kind: LeftOutKind;
  onSelect: (kind: LeftOutKind) => void;
}) {
  return (
    <div role="group" aria-label="Which records" className="flex gap-1">
      {(["rejected", "skipped"] as const).map((each) => (
        <Button
          key={each}
          size="small"
          look={each === kind ? "plain" : "quiet"}
          aria-pressed={each === kind}
          onClick={() => onSelect(each)}
        >
          {NAMES[each]} {formatCount(run.progress[each])}
        </Button>
      ))}
    </div>
  );
}

function LeftOutRecords({ run, kind }: { run: Run; kind: LeftOutKind }) {
  const count = run.progress[kind];
  const query = useInfiniteQuery({ ...leftOutQuery(run.id, kind, run.status), enabled: count > 0 });
  if (count === 0) return <p className="text-soft">The run has {kind} no records.</p>;
  if (query.isPending) return <Skeletons rows={3} />;
  if (query.isError) return <ErrorNotice error={query.error} retry={() => void query.refetch()} />;
  const records = query.data.pages.flatMap((page) => page.results);
  const note = query.data.pages[0]?.note;
  return (
    <>
      <p className="text-soft">
        {EXPLANATIONS[kind]} {note}
      </p>
      {kind === "rejected" && !isLive(run.status) && <SendAgain run={run} />}
      {records.length > 0 && <RecordList kind={kind} records={records} />}
      {query.hasNextPage && (
        <Button
          className="justify-self-start"
          disabledReason={query.isFetchingNextPage ? "Loading" : null}
          onClick={() => void query.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </>
  );
}

function RecordList({ kind, records }: { kind: LeftOutKind; records: LeftOutRecord[] }) {
  return (
    <div
      role="region"
      aria-label={`${NAMES[kind]} records`}
      tabIndex={0}
      className="max-h-96 overflow-auto rounded-card border border-line"
    >
      <ol className="divide-y divide-line text-[0.8125rem]">
        {records.map(({ number, reason, position, record, complete }) => (
          <li key={number} className="grid gap-0.5 px-3 py-2">
            <p>
              <span className="font-medium break-words first-letter:uppercase">{reason}</span>{" "}
              <span className="text-faint">{position}</span>
            </p>
            {record !== null && (
              <pre className="max-h-40 overflow-auto font-mono text-[0.78rem] break-all whitespace-pre-wrap text-soft">
                {record}
              </pre>
            )}
            {!complete && <p className="text-xs text-faint">Only the beginning of this record is kept.</p>}
          </li>
        ))}
      </ol>
    </div>
  );
}
