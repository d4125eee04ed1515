import { useQuery } from "@tanstack/react-query";
import { useEffect, useId, useRef } from "react";
import type { StoredColumn } from "@/api/types";
import { Button } from "@/components/button";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { countWithNoun, formatCount } from "@/format/number";
import { cellQuery, type RecordsOf } from "./queries";

interface Props {
  of: RecordsOf;
  stream: string;
  look: string;
  column: StoredColumn;
  /** The number of the record, from 0. */
  row: number;
  /** What the table has of the value, and whether that is only its beginning. */
  text: string | null;
  isCut: boolean;
  onCopy: (text: string) => void;
  onClose: () => void;
}

/** One value of one record, as far as it can be shown. */
export function CellDialog({ of, stream, look, column, row, text, isCut, onCopy, onClose }: Props) {
  const titleId = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const query = useQuery({ ...cellQuery(of, stream, column.name, row, look), enabled: isCut });
  const page = query.data;
  const whole = isCut ? (page?.records[0]?.[0] ?? null) : text;
  const isStillCut = isCut && (page?.cut.length ?? 0) > 0;
  return (
    <dialog
      ref={dialog}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
      aria-labelledby={titleId}
      className="m-auto w-[min(52rem,calc(100vw-2rem))] rounded-card border border-line bg-raised p-0 text-ink shadow-float backdrop:bg-black/40"
    >
      <div className="grid gap-3 p-5">
        <h2 id={titleId} className="font-semibold wrap-anywhere">
          {column.name}{" "}
          <span className="font-normal text-faint">
            {column.stored_as.toLowerCase()}, record {formatCount(row + 1)}
          </span>
        </h2>
        {isCut && query.isPending && <Skeletons rows={3} />}
        {query.isError && <ErrorNotice error={query.error} retry={() => void query.refetch()} />}
        {page?.failure && <FailureNotice {...page.failure} retry={() => void query.refetch()} />}
        {(!isCut || page?.ok) && (
          <pre
            dir="auto"
            tabIndex={0}
            aria-label="Value"
            className="max-h-[60vh] min-h-16 overflow-auto rounded-card border border-line bg-page p-3 font-mono text-[0.8125rem] break-all whitespace-pre-wrap"
          >
            {whole ?? <em className="text-faint">null</em>}
          </pre>
        )}
        <div className="flex flex-wrap items-center gap-2">
          <p className="mr-auto text-soft">
            {isStillCut
              ? `The first ${formatCount(whole?.length ?? 0)} characters. Download the output, or query the destination, for the rest.`
              : whole !== null && countWithNoun(whole.length, "character")}
          </p>
          <Button disabledReason={whole === null ? "There is no value" : null} onClick={() => onCopy(whole!)}>
            Copy
          </Button>
          <Button look="primary" onClick={onClose}>
            Close
          </Button>
        </div>
      </div>
    </dialog>
  );
}
