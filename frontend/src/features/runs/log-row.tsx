import { memo, type ReactNode } from "react";
import { classNames } from "@/components/class-names";
import { formatBytes, countWithNoun } from "@/format/number";
import { absoluteTime, clockTime } from "@/format/time";
import { formatFields, type Level, type NumberedLine } from "./log-lines";
import { ROW_HEIGHT } from "./row-layout";

const MAX_SHOWN = 1_000; // characters of a line; the rest is shown when it is opened
const MAX_OPEN_LINES = 18;
const OPEN_PADDING = 12; // pixels
const CHARACTERS_PER_LINE = 90; // of the text of an opened line, about

const LEVEL_COLOURS: Record<Level, string> = {
  debug: "text-faint",
  info: "text-ink",
  warning: "text-wait",
  error: "text-bad",
};

function textOf(line: NumberedLine): string {
  return [line.message.trimEnd(), formatFields(line)].filter(Boolean).join("\n");
}

/** Says what of the line is not shown in its row, or null if all of it is. */
export function hiddenPart(line: NumberedLine): string | null {
  const message = line.message.trimEnd();
  const lineCount = message.split("\n", 10_000).length;
  if (lineCount > 1) return `+ ${countWithNoun(lineCount - 1, "line")}`;
  const length = message.length + formatFields(line).length;
  return length > MAX_SHOWN ? `${formatBytes(length)} in all` : null;
}

/** The height of the text of an opened line. */
export function openHeight(line: NumberedLine): number {
  const lines = textOf(line).slice(0, 10_000).split("\n");
  const rows = lines.reduce(
    (sum, text) => sum + Math.max(1, Math.ceil(text.length / CHARACTERS_PER_LINE)),
    0,
  );
  return Math.min(MAX_OPEN_LINES, rows) * ROW_HEIGHT + OPEN_PADDING;
}

interface Props {
  line: NumberedLine;
  numberWidth: string;
  top: number;
  isMarked: boolean;
  searched: string;
  /** The height of the whole text, if it is shown. */
  openedHeight: number | null;
  position: number;
  onToggle: (position: number) => void;
  onMark: (line: number) => void;
}

/** One line of the log in one row. What does not fit is shown below it when the user opens it. */
export const LogRow = memo(function LogRow({
  line,
  position,
  numberWidth,
  top,
  isMarked,
  searched,
  openedHeight,
  onToggle,
  onMark,
}: Props) {
  const hidden = hiddenPart(line);
  const [firstLine = ""] = line.message.trimEnd().split("\n", 1);
  const fields = formatFields(line).slice(0, MAX_SHOWN);
  const isLevelColoured = line.level === "error" || line.level === "warning";
  return (
    <div className="absolute left-0 min-w-full" style={{ transform: `translateY(${top}px)` }}>
      <div
        data-level={line.level}
        aria-current={isMarked ? "location" : undefined}
        className={classNames(
          "flex gap-3 px-3 whitespace-pre hover:bg-hover",
          isMarked && "bg-live-wash shadow-[inset_3px_0_0_var(--color-live)]",
        )}
      >
        <button
          type="button"
          tabIndex={-1}
          title="Link to this line"
          onClick={() => onMark(line.line)}
          className="shrink-0 cursor-pointer text-right text-faint select-none hover:text-ink hover:underline"
          style={{ minWidth: numberWidth }}
        >
          {line.line + 1}
        </button>
        <time dateTime={line.at} title={absoluteTime(line.at)} className="shrink-0 text-faint max-sm:hidden">
          {clockTime(line.at)}
        </time>
        <span className={classNames("w-[7ch] shrink-0", LEVEL_COLOURS[line.level])}>{line.level}</span>
        <span dir="auto" className={isLevelColoured ? LEVEL_COLOURS[line.level] : undefined}>
          <Highlighted text={firstLine.slice(0, MAX_SHOWN)} searched={searched} />
          {fields && hidden === null && (
            <span className="text-faint">
              {" "}
              <Highlighted text={fields} searched={searched} />
            </span>
          )}
        </span>
        {hidden && (
          <button
            type="button"
            aria-expanded={openedHeight !== null}
            aria-label={`${openedHeight === null ? "Show" : "Hide"} all of line ${line.line + 1}`}
            onClick={() => onToggle(position)}
            className="sticky right-3 h-5 cursor-pointer rounded-control border border-line bg-raised px-1.5 font-sans text-xs leading-4 text-soft hover:text-ink"
          >
            {openedHeight === null ? hidden : "Hide"}
          </button>
        )}
      </div>
      {openedHeight !== null && (
        <pre
          tabIndex={0}
          aria-label={`All of line ${line.line + 1}`}
          dir="auto"
          className="sticky left-0 mx-3 overflow-auto rounded-control border border-line bg-raised px-3 py-1 wrap-anywhere whitespace-pre-wrap"
          style={{ height: openedHeight - 4, width: "calc(var(--log-width) - 1.5rem)" }}
        >
          {textOf(line)}
        </pre>
      )}
    </div>
  );
});

/** The text with the places marked that were searched for. */
function Highlighted({ text, searched }: { text: string; searched: string }): ReactNode {
  if (searched === "") return text;
  const [lowered, needle] = [text.toLowerCase(), searched.toLowerCase()];
  if (lowered.length !== text.length) return text; // the places differ in lower case
  const parts: ReactNode[] = [];
  let end = 0;
  for (let at = lowered.indexOf(needle); at !== -1; at = lowered.indexOf(needle, end)) {
    parts.push(
      text.slice(end, at),
      <mark key={at} className="rounded-xs bg-wait/35 text-ink">
        {text.slice(at, at + needle.length)}
      </mark>,
    );
    end = at + needle.length;
  }
  return [...parts, text.slice(end)];
}
