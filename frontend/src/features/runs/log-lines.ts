import type { LogLine, LogMatches } from "@/api/types";
import { fetchLogMatches, fetchLogPage } from "./queries";

export type Level = LogLine["level"];

export interface LogFilter {
  /** Lines of this level and of more severe levels. */
  level: Level;
  /** Lines with this text in their message or fields, in any case. */
  text: string;
}

export const NO_FILTER: LogFilter = { level: "debug", text: "" };

/** A line with its number. The first line of a log has the number 0. */
export interface NumberedLine extends LogLine {
  line: number;
}

/** A part of the log with matching lines. `position` is that of its first match among all matches. */
interface Part {
  firstLine: number;
  end: number;
  position: number;
  matches: number;
}

const BLOCK_SIZE = 250; // positions that are fetched and kept together
const MAX_BLOCKS = 40;
const MAX_LIMIT = 5_000; // lines of a page of the API
/** Matching lines that may follow the last known part before the server counts again. */
const MAX_UNCOUNTED = 2_000;
const FETCH_DELAY = 40; // milliseconds that the wanted lines must stay the same, so that fast scrolling fetches nothing

/**
 * The lines of a log that match a filter, by their position among all that match. Only the lines that somebody looks at
 * are fetched, and only the latest of them are kept, so a log of a million lines needs as little memory as a short one.
 */
export class LogLines {
  /** Matching lines, as far as is known. */
  count = 0;
  /** Lines of the whole log. */
  total = 0;
  /** Lines before this number were removed by retention, which the note says. */
  removed = 0;
  note = "";
  error: unknown = null;
  isLoaded = false;
  /** Whether the server has not searched all lines yet. */
  isSearching = false;

  private parts: Part[] = [];
  private countedEnd = 0; // lines before this number are in `count`
  private blocks = new Map<number, NumberedLine[]>();
  private fetches = new Map<number, AbortController>();
  private wanted: [from: number, to: number] = [0, 0];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private abort = new AbortController();
  private version = 0;
  private listeners = new Set<() => void>();
  private isRepaintScheduled = false;

  constructor(
    readonly runId: string,
    readonly filter: LogFilter = NO_FILTER,
  ) {}

  private get hasFilter(): boolean {
    return this.filter.level !== NO_FILTER.level || this.filter.text !== "";
  }

  /** Begins to fetch. Returns a function that stops it. */
  readonly start = () => {
    this.abort = new AbortController();
    void this.load();
    return () => {
      this.abort.abort();
      clearTimeout(this.timer);
      this.fetches.forEach((fetch) => fetch.abort());
      this.fetches.clear();
    };
  };

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getVersion = () => this.version;

  /** The line at this position, or undefined if it was not fetched. */
  at(position: number): NumberedLine | undefined {
    return this.blocks.get(Math.floor(position / BLOCK_SIZE))?.[position % BLOCK_SIZE];
  }

  /** Fetches the lines between these positions soon, unless other lines are wanted by then. */
  want(from: number, to: number): void {
    this.wanted = [Math.max(0, from), Math.min(to, this.count)];
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetchWanted(), FETCH_DELAY);
  }

  /** The position of the line with this number in a log without a filter. */
  positionOf(line: number): number {
    return Math.max(0, line - this.removed);
  }

  /** Adds lines of a live run. */
  add(first: number, lines: LogLine[]): void {
    const end = first + lines.length;
    if (first > this.countedEnd || this.isSearching || !this.isLoaded) return this.grow(end);
    lines.slice(this.countedEnd - first).forEach((line, index) => {
      const number = this.countedEnd + index;
      if (matches(line, this.filter)) this.append({ ...line, line: number });
    });
    this.countedEnd = Math.max(this.countedEnd, end);
    this.total = Math.max(this.total, end);
    if (this.hasFilter && this.uncounted > MAX_UNCOUNTED) void this.countMatches();
    this.repaint();
  }

  /** Takes note that the log has this many lines now. */
  grow(total: number): void {
    if (total <= this.total) return;
    this.total = total;
    if (!this.isLoaded) return;
    if (this.hasFilter) void this.countMatches();
    else this.countAll();
    this.repaint();
  }

  /** Tries again what has failed. */
  readonly retry = () => {
    this.error = null;
    if (this.isLoaded) this.want(...this.wanted);
    else void this.load();
    this.repaint();
  };

  private append(line: NumberedLine): void {
    const block = this.blocks.get(Math.floor(this.count / BLOCK_SIZE));
    const index = this.count % BLOCK_SIZE;
    if (index === 0) this.keep(this.count / BLOCK_SIZE, [line]);
    else if (block?.length === index) block.push(line);
    this.count += 1;
  }

  private get uncounted(): number {
    const last = this.parts.at(-1);
    return last ? this.count - last.position - last.matches : this.count;
  }

  private async load(): Promise<void> {
    await this.attempt(this.abort.signal, async (signal) => {
      if (this.hasFilter) return this.countMatches();
      const page = await fetchLogPage(this.runId, { offset: 0, limit: BLOCK_SIZE }, signal);
      this.removed = page.removed;
      this.note = page.note;
      this.total = Math.max(this.total, page.total);
      this.countAll();
      this.isLoaded = true;
      this.keep(0, page.lines);
    });
  }

  /** All lines match. */
  private countAll(): void {
    this.count = this.total - this.removed;
    this.countedEnd = this.total;
  }

  /** Asks the server how many lines match in each part, from the last known part on. */
  private async countMatches(): Promise<void> {
    if (this.isSearching) return;
    this.isSearching = true;
    await this.attempt(this.abort.signal, async (signal) => {
      let before: number;
      do {
        before = this.countedEnd;
        await this.countOnce(signal);
      } while (this.countedEnd < this.total && this.countedEnd > before); // lines came meanwhile
    });
    this.isSearching = false;
    this.repaint();
  }

  private async countOnce(signal: AbortSignal): Promise<void> {
    let offset: number | null = this.parts.at(-1)?.firstLine ?? 0;
    while (offset !== null) {
      const found = await fetchLogMatches(this.runId, this.filter, offset, signal);
      this.replaceParts(offset, found.parts);
      this.countedEnd = found.next_offset ?? Math.max(found.total, this.parts.at(-1)?.end ?? 0);
      this.total = Math.max(this.total, found.total);
      this.isLoaded = true;
      offset = found.next_offset;
      this.repaint();
    }
  }

  private replaceParts(offset: number, found: LogMatches["parts"]) {
    this.parts = this.parts.filter(({ firstLine }) => firstLine < offset);
    for (const { first_line, lines, matches } of found) {
      const last = this.parts.at(-1);
      const position = last ? last.position + last.matches : 0;
      this.parts.push({ firstLine: first_line, end: first_line + lines, position, matches });
    }
    const last = this.parts.at(-1);
    this.count = last ? last.position + last.matches : 0;
  }

  private fetchWanted(): void {
    const [from, to] = this.wanted;
    const [first, last] = [Math.floor(from / BLOCK_SIZE), Math.ceil(to / BLOCK_SIZE)];
    this.fetches.forEach((fetch, block) => {
      if (block < first || block >= last) {
        fetch.abort();
        this.fetches.delete(block);
      }
    });
    for (let block = first; block < last; block += 1) {
      const expected = Math.min(BLOCK_SIZE, this.count - block * BLOCK_SIZE);
      const isComplete = (this.blocks.get(block)?.length ?? 0) >= expected;
      if (!isComplete && !this.fetches.has(block)) void this.fetchBlock(block);
    }
  }

  private async fetchBlock(block: number): Promise<void> {
    const fetch = new AbortController();
    this.fetches.set(block, fetch);
    await this.attempt(fetch.signal, async (signal) => {
      this.keep(block, await this.readLines(block * BLOCK_SIZE, signal));
    });
    if (this.fetches.get(block) === fetch) this.fetches.delete(block);
  }

  /** Reads the lines of a block from this position on. */
  private async readLines(position: number, signal: AbortSignal): Promise<NumberedLine[]> {
    const part = this.partAt(position);
    let skipped = position - part.position;
    let offset: number | null = part.firstLine;
    const lines: NumberedLine[] = [];
    while (offset !== null && lines.length < BLOCK_SIZE) {
      const limit = Math.min(MAX_LIMIT, skipped + BLOCK_SIZE - lines.length);
      const page = await fetchLogPage(this.runId, { offset, limit, ...this.filter }, signal);
      lines.push(...page.lines.slice(skipped));
      skipped = Math.max(0, skipped - page.lines.length);
      this.total = Math.max(this.total, page.total);
      offset = page.next_offset;
    }
    return lines;
  }

  /** The part that has the line at this position. Without a filter each line is found by its number. */
  private partAt(position: number): Pick<Part, "firstLine" | "position"> {
    if (!this.hasFilter) return { firstLine: this.removed + position, position };
    let [low, high] = [0, this.parts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.parts[middle]!.position <= position) low = middle;
      else high = middle - 1;
    }
    return this.parts[low] ?? { firstLine: 0, position: 0 };
  }

  private keep(block: number, lines: NumberedLine[]): void {
    this.blocks.delete(block); // the newest block is the last of the map
    this.blocks.set(block, lines);
    for (const oldest of this.blocks.keys()) {
      if (this.blocks.size <= MAX_BLOCKS) break;
      this.blocks.delete(oldest);
    }
  }

  private async attempt(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await work(signal);
      if (!signal.aborted) this.error = null;
    } catch (error) {
      if (!signal.aborted) this.error = error; // shown above the log, with a button that tries again
    }
    this.repaint();
  }

  /** Renders the log again, at most once per frame. */
  private repaint(): void {
    if (this.isRepaintScheduled) return;
    this.isRepaintScheduled = true;
    requestAnimationFrame(() => {
      this.isRepaintScheduled = false;
      this.version += 1;
      this.listeners.forEach((listener) => listener());
    });
  }
}

const LEVEL_RANKS: Record<Level, number> = { debug: 0, info: 1, warning: 2, error: 3 };

/** Whether the line matches, as the server decides it. */
export function matches(line: LogLine, { level, text }: LogFilter): boolean {
  if ((LEVEL_RANKS[line.level] ?? 1) < LEVEL_RANKS[level]) return false;
  if (text === "") return true;
  const searched = text.toLowerCase();
  return line.message.toLowerCase().includes(searched) || formatFields(line).toLowerCase().includes(searched);
}

/** Formats the additional fields of a line as `key=value`. */
export function formatFields(line: LogLine): string {
  const fields = Object.entries(line.fields);
  return fields
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
