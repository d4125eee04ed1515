import type { LogLine } from "@/api/types";

export interface LogFilter {
  level: LogLine["level"];
  text: string;
}

const LEVEL_RANKS: Record<LogLine["level"], number> = { debug: 0, info: 1, warning: 2, error: 3 };

/**
 * The log lines of one run, in order. Fetched pages and streamed batches may overlap or leave gaps. Lines are numbered
 * from 0. The lines before `start` were removed by retention.
 */
export class LogBuffer {
  readonly lines: LogLine[] = [];
  start = 0;
  firstErrorIndex: number | null = null; // index in `lines` of the first line with the level error
  private laterBatches = new Map<number, LogLine[]>();
  private lastSearch: { filter: LogFilter; scanned: number; matches: number[] } | null = null;

  /** The number of the next line. */
  get end(): number {
    return this.start + this.lines.length;
  }

  /** Sets the number of the first line that was not removed. Call it before adding lines. */
  setStart(start: number): void {
    if (this.lines.length === 0) this.start = start;
  }

  /** Adds lines, and returns whether earlier lines are missing. If so, fetch the lines from `end` on. */
  add(firstNumber: number, lines: LogLine[]): boolean {
    if (firstNumber > this.end) this.laterBatches.set(firstNumber, lines);
    else this.append(firstNumber, lines);
    this.appendLaterBatches();
    return this.laterBatches.size > 0;
  }

  private append(firstNumber: number, lines: LogLine[]): void {
    for (let i = this.end - firstNumber; i < lines.length; i += 1) {
      const line = lines[i]!;
      if (this.firstErrorIndex === null && line.level === "error") this.firstErrorIndex = this.lines.length;
      this.lines.push(line);
    }
  }

  private appendLaterBatches(): void {
    const sortedNumbers = [...this.laterBatches.keys()].sort((a, b) => a - b);
    for (const firstNumber of sortedNumbers) {
      if (firstNumber > this.end) return;
      this.append(firstNumber, this.laterBatches.get(firstNumber)!);
      this.laterBatches.delete(firstNumber);
    }
  }

  /** Returns the indexes of the lines that match. A repeated call with the same filter checks only new lines. */
  matchingIndexes(filter: LogFilter): number[] {
    const last = this.lastSearch;
    const isSameFilter = last && last.filter.level === filter.level && last.filter.text === filter.text;
    const previous = isSameFilter ? last : { filter, scanned: 0, matches: [] };
    const searchText = filter.text.toLowerCase();
    const newMatches: number[] = [];
    for (let i = previous.scanned; i < this.lines.length; i += 1) {
      if (matches(this.lines[i]!, LEVEL_RANKS[filter.level], searchText)) newMatches.push(i);
    }
    // React renders again only if this is a new list, so keep the old one if nothing was added.
    const allMatches = newMatches.length > 0 ? previous.matches.concat(newMatches) : previous.matches;
    this.lastSearch = { filter, scanned: this.lines.length, matches: allMatches };
    return allMatches;
  }
}

function matches(line: LogLine, minRank: number, searchText: string): boolean {
  if ((LEVEL_RANKS[line.level] ?? 1) < minRank) return false;
  if (searchText === "") return true;
  return (
    line.message.toLowerCase().includes(searchText) || formatFields(line).toLowerCase().includes(searchText)
  );
}

/** Formats the additional fields of a line as `key=value`. */
export function formatFields(line: LogLine): string {
  const fields = Object.entries(line.fields);
  return fields
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
