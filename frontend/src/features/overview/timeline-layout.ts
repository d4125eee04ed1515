import type { RunStatus, Timeline, TimelineRun } from "@/api/types";

/** A part of time, in milliseconds. */
export interface Span {
  start: number;
  end: number;
}

/** The runs of a pipeline, the oldest first. */
export interface TimelineRow {
  pipelineId: string;
  name: string;
  runs: TimelineRun[];
  urgency: number;
}

/** One run, or several that are too close to each other to be told apart. `left` and `right` are shares of the width. */
export interface Bar {
  left: number;
  right: number;
  runs: TimelineRun[];
  status: RunStatus;
  isGrowing: boolean;
}

/** The status that a bar of several runs shows, the most urgent first. */
const URGENCY: RunStatus[] = ["failed", "running", "pending", "cancelled", "succeeded"];

export const ROW_HEIGHT = 26; // pixels
const LEAST_ROWS = 4; // so that a message has room
const MOST_ROWS = 10.5; // the half row shows that one can scroll

/** The height of the rows in pixels. */
export function heightOf(pipelines: number): number {
  return Math.min(MOST_ROWS, Math.max(LEAST_ROWS, pipelines)) * ROW_HEIGHT;
}

/** Groups the runs by pipeline. Pipelines whose newest ended run failed come first, then those with live runs. */
export function rowsOf({ pipelines, runs }: Timeline): TimelineRow[] {
  const rows: TimelineRow[] = pipelines.map(({ id, name }) => ({
    pipelineId: id,
    name,
    runs: [],
    urgency: 2,
  }));
  for (const run of runs) rows[run.pipeline]?.runs.push(run);
  const shown = rows.filter(({ runs }) => runs.length > 0);
  for (const row of shown) {
    row.runs.sort((a, b) => startOf(a) - startOf(b));
    row.urgency = urgencyOf(row.runs);
  }
  return shown.sort((a, b) => a.urgency - b.urgency || a.name.localeCompare(b.name));
}

function urgencyOf(runs: TimelineRun[]): number {
  const lastEnded = runs.findLast(({ end, status }) => end !== null && status !== "cancelled");
  if (lastEnded?.status === "failed") return 0;
  return runs.some(({ end }) => end === null) ? 1 : 2;
}

export function startOf(run: TimelineRun): number {
  return Date.parse(run.start);
}

function endOf(run: TimelineRun, now: number): number {
  return run.end === null ? now : Date.parse(run.end);
}

/** Places the runs in the span. Runs whose bars would touch are joined. `leastWidth` is a share of the width. */
export function barsOf(runs: TimelineRun[], span: Span, now: number, leastWidth: number): Bar[] {
  const width = span.end - span.start;
  const bars: Bar[] = [];
  for (const run of runs) {
    const [start, end] = [startOf(run), endOf(run, now)];
    if (end < span.start || start > span.end) continue;
    const left = Math.max(0, (start - span.start) / width);
    const right = Math.min(1, Math.max((end - span.start) / width, left + leastWidth));
    const bar: Bar = {
      left: Math.min(left, 1 - leastWidth),
      right,
      runs: [run],
      status: run.status,
      isGrowing: run.end === null && span.end >= now,
    };
    const previous = bars.at(-1);
    if (previous && bar.left < previous.right) join(previous, bar);
    else bars.push(bar);
  }
  return bars;
}

function join(bar: Bar, next: Bar): void {
  bar.right = Math.max(bar.right, next.right);
  bar.runs.push(...next.runs);
  bar.isGrowing ||= next.isGrowing;
  if (URGENCY.indexOf(next.status) < URGENCY.indexOf(bar.status)) bar.status = next.status;
}

const MINUTE = 60_000;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);

/** The times of the axis: at most `count`, at whole hours or minutes of the user's time zone. */
export function ticksOf({ start, end }: Span, count: number): number[] {
  const step = STEPS.find((each) => (end - start) / each <= count) ?? STEPS.at(-1)!;
  const midnight = new Date(start).setHours(0, 0, 0, 0);
  const first = midnight + Math.ceil((start - midnight) / step) * step;
  const ticks = [];
  for (let tick = first; tick <= end; tick += step) ticks.push(tick);
  return ticks;
}
