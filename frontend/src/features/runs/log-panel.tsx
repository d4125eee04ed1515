import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import type { LogLine } from "@/api/types";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { DownIcon, SearchIcon, WarningIcon } from "@/components/icons";
import { ErrorNotice } from "@/components/notice";
import { absoluteTime, clockTime } from "@/format/time";
import { formatCount, countWithNoun } from "@/format/number";
import type { LiveLog } from "./live-run";
import { useRenderOnChange } from "./live-run";
import { formatFields, type LogFilter } from "./log-buffer";

const LINE_HEIGHT = 20; // pixels
const FOLLOW_DISTANCE = 2 * LINE_HEIGHT; // pixels from the end at which the panel still follows new lines

/** A scroll event so long after the last action of the user is a consequence of it. */
const ACTION_MILLISECONDS = 1_000;

const LEVELS: { value: LogLine["level"]; label: string }[] = [
  { value: "debug", label: "All levels" },
  { value: "info", label: "Info and above" },
  { value: "warning", label: "Warnings and errors" },
  { value: "error", label: "Errors only" },
];

const NO_FILTER: LogFilter = { level: "debug", text: "" };

interface Props {
  log: LiveLog;
  live: boolean;
  /** The number of the line that a link leads to. The panel jumps to it and marks it. */
  lineNumber: number | null;
}

export function LogPanel({ log, live, lineNumber }: Props) {
  useRenderOnChange(log);
  const [filter, setFilter] = useState(NO_FILTER);
  const [isFollowing, setIsFollowing] = useState(lineNumber === null);
  const [isErrorMarked, setIsErrorMarked] = useState(false);
  const [wasLive, setWasLive] = useState(live);
  const scrollBox = useRef<HTMLDivElement>(null);
  const lastAction = useRef(-Infinity);
  const { lines, firstErrorIndex, start } = log.buffer;
  const linkedIndex = lineNumber === null ? null : lineNumber - 1 - start;
  const markedIndex = isErrorMarked ? firstErrorIndex : linkedIndex;
  const isLinkedLineLoaded = linkedIndex !== null && linkedIndex >= 0 && linkedIndex < lines.length;
  const matchingIndexes = log.buffer.matchingIndexes(filter);

  const virtualizer = useVirtualizer({
    count: matchingIndexes.length,
    getScrollElement: () => scrollBox.current,
    estimateSize: (position) => LINE_HEIGHT * rowCount(lines[matchingIndexes[position]!]!),
    getItemKey: (position) => matchingIndexes[position]!,
    overscan: 20,
  });

  // The last lines of a run can arrive after its end.
  if (live && !wasLive) setWasLive(true);
  const isAtEnd = isFollowing && (live || wasLive);
  useEffect(() => {
    if (isAtEnd && matchingIndexes.length > 0)
      virtualizer.scrollToIndex(matchingIndexes.length - 1, { align: "end" });
  }, [matchingIndexes.length, isAtEnd, virtualizer]);

  function onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = scrollBox.current!;
    if (scrollHeight - scrollTop - clientHeight < FOLLOW_DISTANCE) setIsFollowing(true);
    // New lines move the end away too, so only what the user does ends the following.
    else if (performance.now() - lastAction.current < ACTION_MILLISECONDS) setIsFollowing(false);
  }
  function onAction() {
    lastAction.current = performance.now();
  }

  useEffect(() => {
    if (!isLinkedLineLoaded) return;
    virtualizer.scrollToIndex(linkedIndex, { align: "center" });
    scrollBox.current?.focus();
  }, [isLinkedLineLoaded, linkedIndex, virtualizer]);

  function jumpToError() {
    if (firstErrorIndex === null) return;
    setFilter(NO_FILTER);
    setIsFollowing(false);
    setIsErrorMarked(true);
    // Scroll after the list has been rendered without the filter.
    requestAnimationFrame(() => {
      virtualizer.scrollToIndex(firstErrorIndex, { align: "center" });
      scrollBox.current?.focus();
    });
  }

  const numberWidth = `${String(log.buffer.end).length}ch`;
  return (
    <section aria-labelledby="log-title" className="card flex min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2">
        <h2 id="log-title" className="mr-auto font-semibold">
          Log{" "}
          <span className="font-normal text-faint tabular-nums">
            {lineCountText(matchingIndexes.length, lines.length)}
          </span>
        </h2>
        {firstErrorIndex !== null && (
          <Button size="small" look="danger" onClick={jumpToError}>
            <WarningIcon className="-ml-0.5" />
            First error
          </Button>
        )}
        <select
          aria-label="Level"
          className="control h-7! w-auto!"
          value={filter.level}
          onChange={({ target }) => setFilter({ ...filter, level: target.value as LogLine["level"] })}
        >
          {LEVELS.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
        <div className="relative w-full sm:w-52">
          <SearchIcon className="absolute top-1.5 left-2 text-faint" />
          <input
            data-search
            type="search"
            aria-label="Search the log"
            placeholder="Search (press /)"
            className="control h-7! pl-7.5!"
            value={filter.text}
            onChange={({ target }) => setFilter({ ...filter, text: target.value })}
          />
        </div>
      </div>
      {log.error !== null && (
        <div className="p-2">
          <ErrorNotice error={log.error} retry={() => void log.fetchRemainingLines()} />
        </div>
      )}
      {log.note && <p className="px-3 pt-2 text-faint">{log.note}</p>}
      {linkedIndex !== null && linkedIndex < 0 && (
        <p className="px-3 pt-2 text-faint">Line {lineNumber} was removed.</p>
      )}
      <div className="relative">
        <div
          ref={scrollBox}
          role="log"
          aria-live="off"
          aria-label="Log lines"
          tabIndex={0}
          onScroll={onScroll}
          onWheel={onAction}
          onTouchMove={onAction}
          onKeyDown={onAction}
          onPointerMove={({ buttons }) => buttons > 0 && onAction()}
          onPointerDown={onAction}
          className={classNames(
            "overflow-auto py-1 font-mono text-[0.78rem] leading-5",
            // A live log has a fixed height, so that the page does not move when lines arrive.
            live
              ? "h-[26rem] @3xl/page:h-[calc(100dvh-22rem)] @7xl/page:h-[calc(100dvh-17.5rem)] @3xl/page:min-h-80"
              : "max-h-[26rem] min-h-32 @3xl/page:max-h-[max(20rem,calc(100dvh-17.5rem))]",
          )}
        >
          {matchingIndexes.length === 0 && (lines.length > 0 || !log.note) && (
            <p className="p-3 font-sans text-faint">{emptyText(lines.length, live)}</p>
          )}
          <div className="relative w-max min-w-full" style={{ height: virtualizer.getTotalSize() }}>
            {virtualizer.getVirtualItems().map((item) => {
              const index = matchingIndexes[item.index]!;
              return (
                <LogRow
                  key={item.key}
                  line={lines[index]!}
                  number={start + index}
                  numberWidth={numberWidth}
                  top={item.start}
                  marked={index === markedIndex}
                />
              );
            })}
          </div>
        </div>
        {live && !isFollowing && (
          <Button
            size="small"
            className="absolute right-5 bottom-3 shadow-float"
            onClick={() => setIsFollowing(true)}
          >
            <DownIcon className="-ml-0.5" /> Follow log{" "}
          </Button>
        )}
      </div>
    </section>
  );
}

interface RowProps {
  line: LogLine;
  number: number;
  numberWidth: string;
  top: number;
  marked: boolean;
}

const LEVEL_COLOURS: Record<LogLine["level"], string> = {
  debug: "text-faint",
  info: "text-ink",
  warning: "text-wait",
  error: "text-bad",
};

function LogRow({ line, number, numberWidth, top, marked }: RowProps) {
  const fields = formatFields(line);
  return (
    <div
      data-level={line.level}
      aria-current={marked ? "location" : undefined}
      className={classNames(
        "absolute left-0 flex min-w-full gap-3 px-3 whitespace-pre hover:bg-hover",
        marked && "bg-live-wash shadow-[inset_3px_0_0_var(--color-live)]",
      )}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span className="shrink-0 text-right text-faint select-none" style={{ minWidth: numberWidth }}>
        {number + 1}
      </span>
      <time dateTime={line.at} title={absoluteTime(line.at)} className="shrink-0 text-faint max-sm:hidden">
        {clockTime(line.at)}
      </time>
      <span className={classNames("w-[7ch] shrink-0", LEVEL_COLOURS[line.level])}>{line.level}</span>
      <span
        className={line.level === "error" || line.level === "warning" ? LEVEL_COLOURS[line.level] : undefined}
      >
        {line.message.trimEnd()}
        {fields && <span className="text-faint"> {fields}</span>}
      </span>
    </div>
  );
}

/** The number of rows that a line needs. Lines are not wrapped, but a stack trace contains line breaks. */
function rowCount(line: LogLine): number {
  const text = line.message.trimEnd();
  return text.split("\n").length;
}

function lineCountText(shown: number, total: number): string {
  return shown === total
    ? countWithNoun(total, "line")
    : `${formatCount(shown)} of ${countWithNoun(total, "line")}`;
}

function emptyText(total: number, live: boolean): string {
  if (total > 0) return "No log lines match.";
  return live ? "Log lines will appear here." : "This run has no log lines.";
}
