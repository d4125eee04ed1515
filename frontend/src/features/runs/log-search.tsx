import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { Button } from "@/components/button";
import { DownIcon } from "@/components/icons";
import { SearchInput } from "@/components/search-field";
import { formatCount } from "@/format/number";
import type { LogLines } from "./log-lines";

const TYPING_DELAY = 250; // milliseconds after the last key before the search begins

interface Props {
  found: LogLines;
  text: string;
  isFiltered: boolean;
  hasContext: boolean;
  markedLine: number | null;
  onText: (text: string) => void;
  onContext: (hasContext: boolean) => void;
  /** Called with the number of a line that matches, and its position among all that match. */
  onHit: (line: number, position: number) => void;
}

/** Searches the log, and goes from one line that matches to the next. */
export function LogSearch({
  found,
  text,
  isFiltered,
  hasContext,
  markedLine,
  onText,
  onContext,
  onHit,
}: Props) {
  const [typed, setTyped] = useState(text);
  const [lastText, setLastText] = useState(text);
  if (text !== lastText) {
    setLastText(text);
    setTyped(text);
  }
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const [hit, setHit] = useState<{ of: LogLines; position: number } | null>(null);
  const position = hit?.of === found ? hit.position : null;

  // The line of a hit may have to be fetched first.
  const awaited = position === null ? undefined : found.at(position);
  const reported = useRef<number | null>(null);
  useEffect(() => {
    if (position === null) return;
    if (!awaited) return found.want(position, position + 1);
    if (reported.current === position) return;
    reported.current = position;
    onHit(awaited.line, position);
  });

  function submit() {
    clearTimeout(timer.current);
    onText(typed);
  }
  function onType(value: string) {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onText(value), TYPING_DELAY);
  }
  function step(by: number) {
    if (found.count === 0) return;
    reported.current = null;
    const start = position ?? (by > 0 ? -1 : 0);
    setHit({ of: found, position: (start + by + found.count) % found.count });
  }
  function onKeyDown(event: KeyboardEvent) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (typed === text) step(event.shiftKey ? -1 : 1);
    else submit();
  }
  const isMarked = markedLine !== null && awaited?.line === markedLine;
  return (
    <>
      <SearchInput
        label="Search the log"
        maxLength={200}
        className="sm:w-52 [&>input]:h-7!"
        value={typed}
        onChange={onType}
        onKeyDown={onKeyDown}
      />
      {isFiltered && (
        <div role="group" aria-label="Lines that match" className="flex items-center gap-1">
          <span role="status" className="min-w-[9ch] text-right text-[0.8125rem] text-soft tabular-nums">
            {position !== null && isMarked
              ? `${formatCount(position + 1)} of ${formatCount(found.count)}`
              : `${formatCount(found.count)}${found.isSearching ? "…" : ""}`}
          </span>
          <Button
            size="icon"
            look="quiet"
            aria-label="Previous match"
            title="Previous match (Shift+Enter)"
            onClick={() => step(-1)}
          >
            <DownIcon className="rotate-180" />
          </Button>
          <Button
            size="icon"
            look="quiet"
            aria-label="Next match"
            title="Next match (Enter)"
            onClick={() => step(1)}
          >
            <DownIcon />
          </Button>
          <Button
            size="small"
            look={hasContext ? "plain" : "quiet"}
            aria-pressed={hasContext}
            title="Show the lines that match among all others"
            onClick={() => onContext(!hasContext)}
          >
            In context
          </Button>
        </div>
      )}
    </>
  );
}
