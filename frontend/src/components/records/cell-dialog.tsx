import { useQuery } from "@tanstack/react-query";
import type { StoredColumn } from "@/api/types";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
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
  const query = useQuery({ ...cellQuery(of, stream, column.name, row, look), enabled: isCut });
  const page = query.data;
  const whole = isCut ? (page?.records[0]?.[0] ?? null) : text;
  const isStillCut = isCut && (page?.cut.length ?? 0) > 0;
  return (
    <Dialog
      width="w-208"
      onClose={onClose}
      title={
        <>
          {column.name}{" "}
          <span className="font-normal text-faint">
            {column.stored_as.toLowerCase()}, record {formatCount(row + 1)}
          </span>
        </>
      }
    >
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
    </Dialog>
  );
}
