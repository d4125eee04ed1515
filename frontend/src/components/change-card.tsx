import { fieldInWords, valueInWords } from "@/format/change";
import { classNames } from "./class-names";
import { DiffView, FoldedLines } from "./diff-view";
import { WarningIcon } from "./icons";
import { StreamList, type StreamListProps } from "./stream-list";
import { TextWithTimes } from "./text-with-times";

/** Separates the pipelines that one approval creates. */
const LINE_ABOVE = "mt-1.5 border-t border-line pt-2";

interface Change {
  field: string;
  before: unknown;
  after: unknown;
  /** Only for code: its unified diff, or null if the code is too long to compare. */
  diff?: string | null;
  /** The name of the stream, if the pipeline has several. */
  stream?: string;
}

export interface ChangeCardProps {
  facts: { label: string; value: string }[];
  changes: Change[];
  warnings: string[];
  /** The lists of the streams of pipelines that have several. Cards of earlier releases have none. */
  streams?: StreamListProps[];
}

/** What a tool call will do: its facts, the exact changes and warnings. The server has made it. */
export function ChangeCard({ facts, changes, warnings, streams = [] }: ChangeCardProps) {
  return (
    <>
      {facts.length > 0 && (
        <dl className="grid grid-cols-[minmax(5rem,auto)_1fr] gap-x-4 gap-y-1 text-[0.8125rem]">
          {facts.map(({ label, value }, index) => {
            const line = index > 0 && label === facts[0]!.label && LINE_ABOVE;
            return (
              <div key={index} className="contents">
                <dt className={classNames("text-faint", line && `${line} -mr-4`)}>{label}</dt>
                <dd className={classNames("min-w-0 wrap-anywhere", line)}>
                  <TextWithTimes text={value} />
                </dd>
              </div>
            );
          })}
        </dl>
      )}
      {changes.length > 0 && (
        <ul aria-label="Changes" className="grid min-w-0 grid-cols-1 gap-2">
          {changes.map((change, index) => (
            <li key={index} className="min-w-0">
              <ChangeView {...change} />
            </li>
          ))}
        </ul>
      )}
      {streams.map((list) => (
        <StreamList key={list.title} {...list} />
      ))}
      {warnings.map((warning) => (
        <p
          key={warning}
          className="flex items-start gap-2 rounded-control bg-wait-wash px-2.5 py-1.5 text-[0.8125rem] text-wait"
        >
          <WarningIcon className="mt-0.5 shrink-0" />
          <span className="min-w-0 wrap-anywhere">
            <TextWithTimes text={warning} />
          </span>
        </p>
      ))}
    </>
  );
}

function ChangeView({ field, before, after, diff, stream }: Change) {
  if (field === "code" && before === null && typeof after === "string") {
    return <FoldedLines label="Code" lines={after.trimEnd().split("\n")} />;
  }
  if (diff) return <DiffView label={`Changes of ${field}`} diff={diff} />;
  return (
    <div className="min-w-0 overflow-hidden rounded-control border border-line">
      <p className="border-b border-line px-2.5 py-1 text-xs text-soft wrap-anywhere">
        {fieldInWords(field, stream)}
      </p>
      <DiffLines sign="-" label="Before" value={valueInWords(field, before)} classes="bg-bad-wash text-bad" />
      <DiffLines sign="+" label="After" value={valueInWords(field, after)} classes="bg-good-wash text-good" />
    </div>
  );
}

interface DiffProps {
  sign: string;
  label: string;
  value: unknown;
  classes: string;
}

/** One side of a change. A value that was not set or that is removed has no lines. */
function DiffLines({ sign, label, value, classes }: DiffProps) {
  if (value === null || value === undefined) return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <div className={`font-mono text-[0.78rem] ${classes}`}>
      <span className="sr-only">{label}: </span>
      {text.split("\n").map((line, index) => (
        <span key={index} className="flex px-2.5">
          <span aria-hidden="true" className="w-4 shrink-0 select-none">
            {sign}
          </span>
          <span className="min-w-0 wrap-anywhere whitespace-pre-wrap">{line || " "}</span>
        </span>
      ))}
    </div>
  );
}
