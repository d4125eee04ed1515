import { useId, useState } from "react";
import { countWithNoun, formatCount } from "@/format/number";
import { Button } from "./button";
import { SearchInput } from "./search-field";

const SEARCHED_FROM = 10; // streams; fewer are found by looking
const FIRST_SHOWN = 8; // streams, before all are asked for

interface StreamRow {
  stream: string;
  table: string;
  /** How it is read and written, and its rules for fields, in words. */
  reads: string;
  writes: string;
  rules: string;
}

export interface StreamListProps {
  /** The name of the pipeline. */
  title: string;
  /** How many streams it has. `rows` are the first of them. */
  count: number;
  rows: StreamRow[];
}

/** What each stream of a pipeline becomes: the first streams, all of them on request, and a search if there are many. */
export function StreamList({ title, count, rows }: StreamListProps) {
  const id = useId();
  const [text, setText] = useState("");
  const [showsAll, setShowsAll] = useState(false);
  const wanted = text.trim().toLowerCase();
  const found = rows.filter(({ stream, table }) => `${stream}\n${table}`.toLowerCase().includes(wanted));
  const shown = showsAll || wanted ? found : found.slice(0, FIRST_SHOWN);
  return (
    <section aria-labelledby={id} className="grid min-w-0 grid-cols-1 gap-1.5">
      <p id={id} className="text-[0.8125rem] font-medium wrap-anywhere">
        {countWithNoun(count, "stream")} of {title}
      </p>
      {rows.length >= SEARCHED_FROM && (
        <SearchInput
          data-search={undefined} // a page can have several of these lists, and other searches
          label={`Search streams of ${title}`}
          placeholder="Search streams and tables"
          className=""
          value={text}
          onChange={setText}
        />
      )}
      {found.length === 0 && (
        <p role="status" className="text-[0.8125rem] text-soft">
          None of the listed streams or tables has this name.
        </p>
      )}
      {shown.length > 0 && (
        <ul
          tabIndex={0}
          aria-label={`Streams of ${title} and their tables`}
          className="max-h-64 divide-y divide-line overflow-y-auto rounded-control border border-line text-[0.8125rem]"
        >
          {shown.map((row) => (
            <StreamView key={row.stream} {...row} />
          ))}
        </ul>
      )}
      {shown.length < found.length && (
        <div>
          <Button size="small" onClick={() => setShowsAll(true)}>
            Show all {formatCount(found.length)}
          </Button>
        </div>
      )}
      {count > rows.length && (
        <p className="text-xs text-soft">
          Only the first {formatCount(rows.length)} are listed here. The pipeline&apos;s page lists all.
        </p>
      )}
    </section>
  );
}

function StreamView({ stream, table, reads, writes, rules }: StreamRow) {
  return (
    <li className="px-2.5 py-1 wrap-anywhere">
      <span className="font-medium">{stream}</span> <span className="text-soft">to {table}</span>
      <span className="block text-xs text-soft">
        {reads} · {writes}
      </span>
      {rules && <span className="block text-xs text-soft">{rules}</span>}
    </li>
  );
}
