import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef, useState, type MouseEvent } from "react";
import type { RunStatus } from "@/api/types";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { SearchField } from "@/components/search-field";
import { STATUS_WORDS } from "@/api/status-words";
import { parseOverviewFilter, WHOLE_DAY, type OverviewFilter } from "./filter";
import { timelineQuery } from "./queries";
import { heightOf, ROW_HEIGHT, rowsOf, ticksOf, type Span } from "./timeline-layout";
import { LABEL_CLASS, TimelineRowView } from "./timeline-row";
import { useArrowKeys } from "./use-arrow-keys";
import { useDragZoom } from "./use-drag-zoom";

const HOUR = 3_600_000; // milliseconds
const LEAST_SPAN = 30_000; // milliseconds
const TICK_DISTANCE = 90; // pixels
const SKELETON_HEIGHT = 36; // pixels, with its part of the margins
const HALF_LABEL = 22; // pixels, of the widest label

interface Props {
  /** How many pipelines the organization has. The timeline is as tall as their rows, up to a limit. */
  pipelines: number;
}

/** The runs of the last 24 hours by pipeline. Its part of the day and its filters are in the URL. */
export function RunTimeline({ pipelines }: Props) {
  const filter = useSearch({ from: "/app/", select: parseOverviewFilter });
  const navigate = useNavigate({ from: "/" });
  const change = useCallback(
    (changes: OverviewFilter, replace = false) =>
      void navigate({
        search: (before) => withoutEmptyValues({ ...parseOverviewFilter(before), ...changes }),
        replace,
        resetScroll: false,
      }),
    [navigate],
  );
  const zoom = useCallback(
    ({ start, end }: Span) => {
      const rest = Math.max(0, LEAST_SPAN - (end - start)) / 2;
      const [from, to] = [start - rest, end + rest].map((time) => new Date(time).toISOString());
      // A step of its own in the history, so that Back undoes the zoom.
      void navigate({
        search: (before) => ({ ...parseOverviewFilter(before), hours: undefined, from, to }),
        resetScroll: false,
      });
    },
    [navigate],
  );
  return (
    <section aria-labelledby="timeline-title" className="card @container min-w-0">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
        <h2 id="timeline-title" className="mr-auto font-semibold">
          Last 24 hours
        </h2>
        <SearchField
          label="Search pipelines in the timeline"
          value={filter.q ?? ""}
          onChange={(q, replace) => change({ q }, replace)}
        />
        <select
          aria-label="Status of the runs"
          className="control w-auto!"
          value={filter.status ?? ""}
          onChange={({ target }) => change({ status: target.value as RunStatus })}
        >
          <option value="">Any status</option>
          {Object.entries(STATUS_WORDS).map(([status, label]) => (
            <option key={status} value={status}>
              {label}
            </option>
          ))}
        </select>
        <ZoomButtons filter={filter} onZoom={(hours) => change({ hours, from: undefined, to: undefined })} />
      </div>
      <TimelinePlot filter={filter} onZoom={zoom} height={heightOf(pipelines)} />
    </section>
  );
}

/** Returns the filter without its empty values, which the URL does not contain. */
function withoutEmptyValues(filter: OverviewFilter): OverviewFilter {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
}

function ZoomButtons({ filter, onZoom }: { filter: OverviewFilter; onZoom: (hours?: number) => void }) {
  const shown = filter.from ? null : (filter.hours ?? WHOLE_DAY);
  return (
    <div role="group" aria-label="Shown part of the day" className="flex gap-1">
      {[WHOLE_DAY, 6, 1].map((hours) => (
        <Button
          key={hours}
          size="small"
          look={shown === hours ? "plain" : "quiet"}
          aria-pressed={shown === hours}
          onClick={() => onZoom(hours === WHOLE_DAY ? undefined : hours)}
        >
          {hours} h
        </Button>
      ))}
    </div>
  );
}

interface PlotProps {
  filter: OverviewFilter;
  onZoom: (span: Span) => void;
  /** In pixels. It does not depend on the filter, so that nothing below moves. */
  height: number;
}

function TimelinePlot({ filter, onZoom, height }: PlotProps) {
  const { data, dataUpdatedAt, error, refetch } = useQuery(timelineQuery(filter));
  const rows = useMemo(() => (data ? rowsOf(data) : []), [data]);
  const navigate = useNavigate();
  const list = useRef<HTMLUListElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const [axis, width] = useWidth();
  const { span, now } = useSpan(filter, width, dataUpdatedAt);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 6,
  });
  const { stop, onKeyDown } = useArrowKeys(list, rows.length, (row) => virtual.scrollToIndex(row));
  const { selection, onPointerDown, isDrag } = useDragZoom(span, onZoom);
  const shownRows = virtual.getVirtualItems();
  const focusableRow = shownRows.some(({ index }) => index === stop.row) ? stop.row : shownRows[0]?.index;

  function onClick(event: MouseEvent<HTMLElement>) {
    const link = (event.target as HTMLElement).closest<HTMLAnchorElement>("a[data-status]");
    if (isDrag()) return event.preventDefault();
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    void navigate({ href: link.getAttribute("href")! });
  }

  return (
    <>
      <div
        className="flex overflow-y-hidden border-b border-line text-xs text-faint [scrollbar-gutter:stable]"
        aria-hidden="true"
      >
        <span className={LABEL_CLASS} />
        <div ref={axis} className="relative h-6 min-w-0 flex-1 overflow-hidden">
          {labelsOf(span, width).map(({ tick, left }) => (
            <span
              key={tick}
              className="absolute top-1 -translate-x-1/2 whitespace-nowrap tabular-nums"
              style={{ left }}
            >
              {timeOfDay(tick)}
            </span>
          ))}
        </div>
      </div>
      <div ref={scroller} className="relative overflow-y-auto [scrollbar-gutter:stable]" style={{ height }}>
        {!data && !error && <Skeletons rows={Math.floor(height / SKELETON_HEIGHT)} />}
        {error && !data && (
          <div className="p-3">
            <ErrorNotice error={error} retry={() => void refetch()} />
          </div>
        )}
        {data && rows.length === 0 && (
          <p className="grid h-full place-content-center text-soft">
            {filter.q || filter.status || filter.hours || filter.from
              ? "No run matches."
              : "No pipeline has run in the last 24 hours."}
          </p>
        )}
        <ul
          ref={list}
          aria-label="Runs by pipeline. The arrow keys move between the runs."
          className="relative cursor-crosshair"
          style={{ height: virtual.getTotalSize() }}
          onKeyDown={onKeyDown}
          onPointerDown={onPointerDown}
          onClickCapture={onClick}
        >
          {shownRows.map(({ index, start }) => (
            <TimelineRowView
              key={rows[index]!.pipelineId}
              row={rows[index]!}
              index={index}
              span={span}
              now={now}
              width={width}
              top={start}
              focusable={index === focusableRow ? (index === stop.row ? stop.position : 0) : null}
              onZoom={onZoom}
            />
          ))}
        </ul>
        {selection && <Selection {...selection} />}
      </div>
      <p className="min-h-7 border-t border-line px-4 py-1 text-xs leading-5 text-faint">
        {data?.has_more
          ? "There are more than 2,000 runs, so only the most urgent pipelines are shown. Zoom in, search or choose a status to see others."
          : "Drag over the timeline to zoom in."}
      </p>
    </>
  );
}

function Selection({ left, width }: { left: number; width: number }) {
  return (
    <div aria-hidden="true" className="pointer-events-none absolute inset-0 flex">
      <span className={LABEL_CLASS} />
      <span className="relative flex-1">
        <span
          className={classNames("absolute inset-y-0 border-x border-live bg-live/15")}
          style={{ left, width }}
        />
      </span>
    </div>
  );
}

/** The labels of the axis and their distance from its start in pixels, without those that would be cut at its ends. */
function labelsOf(span: Span, width: number): { tick: number; left: number }[] {
  return ticksOf(span, Math.max(2, width / TICK_DISTANCE))
    .map((tick) => ({ tick, left: ((tick - span.start) / (span.end - span.start)) * width }))
    .filter(({ left }) => left >= HALF_LABEL && left <= width - HALF_LABEL);
}

const timeFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric" });

/** The time of day, or the date at midnight. */
function timeOfDay(time: number): string {
  const text = timeFormat.format(time);
  return text === "00:00" ? dayFormat.format(time) : text;
}

/** The part of the day that is shown. It moves by one pixel at a time while it ends now. */
function useSpan(
  { hours = WHOLE_DAY, from, to }: OverviewFilter,
  width: number,
  dataUpdatedAt: number,
): { span: Span; now: number } {
  const isFixed = from !== undefined && to !== undefined;
  const length = isFixed ? Date.parse(to) - Date.parse(from) : hours * HOUR;
  const tick = useTick(Math.max(1_000, length / Math.max(width, 300)));
  const now = Math.max(tick, dataUpdatedAt); // so that the newest runs are not after the end
  const start = isFixed ? Date.parse(from) : now - length;
  const span = useMemo(() => ({ start, end: start + length }), [start, length]);
  return { span, now };
}

/** The current time in milliseconds, updated after this many milliseconds. */
function useTick(milliseconds: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
  return now;
}

/** A ref for an element, and the width of this element in pixels. It is known before the first paint. */
function useWidth() {
  const [element, setElement] = useState<HTMLElement | null>(null);
  const [width, setWidth] = useState(0);
  const ref = useCallback((shown: HTMLElement | null) => {
    setElement(shown);
    if (shown) setWidth(shown.clientWidth);
  }, []);
  useEffect(() => {
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return [ref, width] as const;
}
