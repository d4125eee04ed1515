import { Link } from "@tanstack/react-router";
import { memo } from "react";
import type { RunStatus, TimelineRun } from "@/api/types";
import { classNames } from "@/components/class-names";
import { formatDuration } from "@/format/duration";
import { countWithNoun } from "@/format/number";
import { countStatuses, STATUS_WORDS } from "@/api/status-words";
import { barsOf, ROW_HEIGHT, startOf, type Bar, type Span, type TimelineRow } from "./timeline-layout";

export const LABEL_CLASS = "w-28 shrink-0 @2xl:w-48";

const COLORS: Record<RunStatus, string> = {
  failed: "bg-bad",
  running: "bg-live",
  pending: "bg-wait",
  cancelled: "bg-line-strong",
  succeeded: "bg-good",
};
const LEAST_BAR = 4; // pixels

interface Props {
  row: TimelineRow;
  index: number;
  span: Span;
  now: number;
  /** The width of the part with the bars, in pixels. */
  width: number;
  top: number;
  /** The position of the only element of the timeline that Tab reaches, if it is in this row. */
  focusable: number | null;
  onZoom: (span: Span) => void;
}

/** A pipeline and its runs. The arrow keys move between them, see `useArrowKeys`. */
export const TimelineRowView = memo(function TimelineRowView(props: Props) {
  const { row, index, span, now, width, top, focusable, onZoom } = props;
  const bars = barsOf(row.runs, span, now, LEAST_BAR / Math.max(width, 1));
  const shownFocusable = focusable === null ? null : Math.min(focusable, bars.length);
  return (
    <li
      data-row={index}
      className="absolute inset-x-0 flex items-center border-b border-line/60 hover:bg-hover"
      style={{ height: ROW_HEIGHT, transform: `translateY(${top}px)` }}
    >
      <Link
        to="/pipelines/$pipelineId"
        params={{ pipelineId: row.pipelineId }}
        preload={false}
        data-stop
        tabIndex={shownFocusable === 0 ? 0 : -1}
        title={row.name}
        dir="auto"
        className={classNames(LABEL_CLASS, "truncate px-3 text-left text-[0.8125rem] hover:underline")}
      >
        {row.name}
      </Link>
      <div className="relative h-full min-w-0 flex-1 overflow-hidden" data-plot>
        {bars.map((bar, position) => (
          <BarView
            key={bar.runs[0]!.id}
            bar={bar}
            name={row.name}
            now={now}
            tabIndex={shownFocusable === position + 1 ? 0 : -1}
            onZoom={onZoom}
          />
        ))}
      </div>
    </li>
  );
});

interface BarProps {
  bar: Bar;
  name: string;
  now: number;
  tabIndex: number;
  onZoom: (span: Span) => void;
}

/** A run is a link to its page. Several runs that are too close to each other are a button that zooms in. */
function BarView({ bar, name, now, tabIndex, onZoom }: BarProps) {
  const [run] = bar.runs;
  const text = bar.runs.length === 1 ? describeRun(name, run!, now) : describeRuns(name, bar.runs);
  const attributes = {
    "data-stop": true,
    "data-status": bar.status,
    "aria-label": text,
    title: text,
    tabIndex,
    draggable: false,
    className: classNames(
      "absolute rounded-[2px] focus-visible:z-10",
      COLORS[bar.status],
      bar.status === "failed" ? "inset-y-0.5" : "inset-y-1.5",
      bar.status === "running" && "animate-breathe",
    ),
    style: { left: share(bar.left), right: bar.isGrowing ? 0 : share(1 - bar.right), minWidth: LEAST_BAR },
  };
  // A link of the router for each run would be slow. The timeline opens the page when one of these links is clicked.
  if (bar.runs.length === 1) return <a {...attributes} href={`/runs/${run!.id}`} />;
  return <button {...attributes} type="button" onClick={() => onZoom(spanOf(bar.runs, now))} />;
}

function share(part: number): string {
  return `${(part * 100).toFixed(3)}%`;
}

/** The span of these runs, with a margin, so that they are told apart after a zoom. */
function spanOf(runs: TimelineRun[], now: number): Span {
  const start = startOf(runs[0]!);
  const end = Math.max(...runs.map(({ end }) => (end ? Date.parse(end) : now)));
  const margin = Math.max((end - start) * 0.1, 15_000);
  return { start: start - margin, end: end + margin };
}

const clockFormat = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  hour: "2-digit",
  minute: "2-digit",
});

function describeRun(name: string, run: TimelineRun, now: number): string {
  const started = startOf(run);
  const seconds = ((run.end ? Date.parse(run.end) : now) - started) / 1000;
  const duration = run.status === "pending" ? "" : `, ${formatDuration(Math.max(0, seconds))}`;
  const records = countWithNoun(run.records, "record");
  return `${name}: ${STATUS_WORDS[run.status].toLowerCase()}, ${clockFormat.format(started)}${duration}, ${records}`;
}

function describeRuns(name: string, runs: TimelineRun[]): string {
  const [first, last] = [runs[0]!, runs.at(-1)!].map((run) => clockFormat.format(startOf(run)));
  return `${name}: ${countStatuses(runs)}, ${first} to ${last}. Zoom in`;
}
