import type { LogLine } from "@/api/types";

export interface LogFilter {
  level: LogLine["level"];
  text: string;
}

const RANK: Record<LogLine["level"], number> = { debug: 0, info: 1, warning: 2, error: 3 };

/**
 * The lines of one run in order, from the first, however they arrive: pages that are fetched and
 * batches that are streamed may overlap or leave gaps. Lines are numbered from 0; those before
 * `start` were removed for age.
 */
export class LogBook {
  readonly lines: LogLine[] = [];
  start = 0;
  private ahead = new Map<number, LogLine[]>();
  private filtered: { filter: LogFilter; scanned: number; found: number[] } | null = null;
  private firstErrorAt: number | null = null;

  /** Number of the line that follows. */
  get end(): number {
    return this.start + this.lines.length;
  }

  /** Lines before this number were removed. To be called before the first lines are added. */
  begin(start: number): void {
    if (this.lines.length === 0) this.start = start;
  }

  /** Returns whether lines are missing before the added ones. If so, fetch from `end` on. */
  add(first: number, lines: LogLine[]): boolean {
    if (first > this.end) this.ahead.set(first, lines);
    else this.join(first, lines);
    this.drain();
    return this.ahead.size > 0;
  }

  private join(first: number, lines: LogLine[]): void {
    for (let at = this.end - first; at < lines.length; at += 1) {
      const line = lines[at]!;
      if (this.firstErrorAt === null && line.level === "error") this.firstErrorAt = this.lines.length;
      this.lines.push(line);
    }
  }

  private drain(): void {
    const ready = [...this.ahead.keys()].sort((a, b) => a - b);
    for (const first of ready) {
      if (first > this.end) return;
      this.join(first, this.ahead.get(first)!);
      this.ahead.delete(first);
    }
  }

  /** Number of the first error line; null while there is none. */
  get firstError(): number | null {
    return this.firstErrorAt;
  }

  /** Numbers of the lines that pass, looking only at lines that are new since the last call. */
  matching(filter: LogFilter): number[] {
    const kept = this.filtered;
    const same = kept && kept.filter.level === filter.level && kept.filter.text === filter.text;
    const state = same ? kept : { filter, scanned: 0, found: [] };
    const wanted = filter.text.toLowerCase();
    const fresh: number[] = [];
    for (let at = state.scanned; at < this.lines.length; at += 1) {
      if (passes(this.lines[at]!, RANK[filter.level], wanted)) fresh.push(at);
    }
    // a new list only when something changed, so that React sees the difference
    const found = fresh.length > 0 ? state.found.concat(fresh) : state.found;
    this.filtered = { filter, scanned: this.lines.length, found };
    return found;
  }
}

function passes(line: LogLine, least: number, wanted: string): boolean {
  if ((RANK[line.level] ?? 1) < least) return false;
  if (wanted === "") return true;
  return line.message.toLowerCase().includes(wanted) || fieldsText(line).toLowerCase().includes(wanted);
}

/** The extra fields of a line as `key=value`. */
export function fieldsText(line: LogLine): string {
  const fields = Object.entries(line.fields);
  return fields
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
