import type { Preview } from "@/api/types";
import { countWithNoun } from "@/format/number";

/** Records that were read from the stream for a preview. */
export function PreviewTable({ preview }: { preview: Preview }) {
  const { records, rejected, skipped, left_out: reasons, read_as: readAs } = preview;
  return (
    <>
      {readAs && <p className="text-soft">Read as {readAs}. Each of these can be set in the source.</p>}
      {rejected > 0 && (
        <Reasons
          title={`A run would reject ${countWithNoun(rejected, "record")}:`}
          reasons={reasons.filter(({ kind }) => kind === "rejected")}
        />
      )}
      {skipped > 0 && (
        <Reasons
          title={`A run would skip ${countWithNoun(skipped, "record")} by choice:`}
          reasons={reasons.filter(({ kind }) => kind === "skipped")}
        />
      )}
      {rejected + skipped + records.length === 0 && (
        <p className="text-soft">The stream has no records at the moment.</p>
      )}
      {records.length > 0 && <Records {...preview} />}
    </>
  );
}

/** Why records are left out, the most frequent reason first. */
function Reasons({ title, reasons }: { title: string; reasons: Preview["left_out"] }) {
  return (
    <div className="text-soft">
      <p>{title}</p>
      <ul className="list-disc pl-5">
        {reasons.map(({ reason, count }) => (
          <li key={reason} className="wrap-anywhere">
            {countWithNoun(count, "record")}: {reason}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Records({ columns, records }: Preview) {
  return (
    <div
      role="region"
      aria-label="Preview of the records"
      tabIndex={0}
      className="max-h-96 overflow-auto rounded-card border border-line"
    >
      <table className="table w-full border-collapse text-[0.8125rem]">
        <thead>
          <tr>
            {columns.map(({ name, type }) => (
              <th key={name} scope="col" className="sticky top-0 bg-side">
                <span className="text-ink">{name}</span> <span className="font-normal">{type}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {records.map((record, row) => (
            <tr key={row}>
              {columns.map(({ name }) => (
                <td key={name} className="max-w-72 truncate font-mono text-[0.78rem]">
                  <Cell value={record[name]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span className="text-faint">null</span>;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return <span title={text}>{text}</span>;
}
