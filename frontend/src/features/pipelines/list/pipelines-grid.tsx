import { useNavigate } from "@tanstack/react-router";
import { defaultRangeExtractor, useWindowVirtualizer } from "@tanstack/react-virtual";
import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
  type MouseEvent,
} from "react";
import type { PipelineRow } from "@/api/types";
import { classNames } from "@/components/class-names";
import { ChevronIcon } from "@/components/icons";
import { SortButton } from "@/components/sort-header";
import { formatCount } from "@/format/number";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { COLUMNS, LINE_CLASSES, LINE_HEIGHT, NARROW_LINE_HEIGHT, NARROW_WINDOW } from "./columns";
import { parsePipelineSearch, type Order, type PipelineSearch } from "./filter";
import type { Item, KindName } from "./items";
import { PipelineCells } from "./pipeline-line";
import { RUNS_CHUNK, useRecentRuns } from "./queries";
import { notRunnableReason, useRunPipeline } from "./run-button";
import type { Selection } from "./use-selection";

interface Props {
  items: Item[];
  selectable: string[];
  rows: PipelineRow[];
  search: PipelineSearch;
  kindName: KindName;
  selection: Selection;
  canSelect: (row: PipelineRow) => boolean;
  onToggleGroup: (group: string) => void;
}

const NO_MODIFIER_KEYS = ["j", "k"];

/** The list of pipelines. Only the lines near the visible part are rendered. */
export function PipelinesGrid(props: Props) {
  const { items, rows, search, kindName, selection, canSelect } = props;
  const selectableCount = props.selectable.length;
  const navigate = useNavigate();
  const hasPermission = useHasPermission();
  const readOnlyReason = useReadOnlyReason();
  const runPipeline = useRunPipeline();
  const isNarrow = useIsNarrow();
  const height = isNarrow ? NARROW_LINE_HEIGHT : LINE_HEIGHT;
  const body = useRef<HTMLDivElement>(null);
  const top = useDistanceFromTop(body);
  const [activeKey, setActiveKey] = useState<string | null>(null);
  const found = items.findIndex(({ key }) => key === activeKey);
  const activeIndex = found >= 0 ? found : 0;

  const virtualizer = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => height,
    getItemKey: (index) => items[index]!.key,
    scrollMargin: top,
    overscan: 8,
    // The line with the focus stays rendered, so that the focus is not lost.
    rangeExtractor: (range) =>
      [...new Set([...defaultRangeExtractor(range), activeIndex])].sort((one, other) => one - other),
  });
  useEffect(() => virtualizer.measure(), [virtualizer, height]);
  const lines = virtualizer.getVirtualItems();
  const runs = useRecentRuns(
    useVisibleChunks(
      rows,
      lines.map(({ index }) => items[index]),
    ),
  );

  function focusLine(index: number) {
    const item = items[index];
    if (!item) return;
    setActiveKey(item.key);
    virtualizer.scrollToIndex(index, { align: "auto" });
    // The line is rendered by then, because it is the active one.
    requestAnimationFrame(() =>
      body.current?.querySelector<HTMLElement>(`[data-line="${index}"]`)?.focus({ preventScroll: true }),
    );
  }
  const latestFocusLine = useLatest(() => focusLine(activeIndex));
  useEffect(() => {
    function enterList(event: globalThis.KeyboardEvent) {
      if (event.key !== "j" && event.key !== "k") return;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      // After a click on the link of this page the focus is in the navigation.
      if (document.activeElement === document.body || document.activeElement?.closest("nav"))
        latestFocusLine.current();
    }
    document.addEventListener("keydown", enterList);
    return () => document.removeEventListener("keydown", enterList);
  }, [latestFocusLine]);

  const latestToggle = useLatest(selection.toggle);
  const select = useCallback(
    (id: string, range: boolean) => latestToggle.current(id, { range }),
    [latestToggle],
  );

  function open(row: PipelineRow) {
    void navigate({ to: "/pipelines/$pipelineId", params: { pipelineId: row.id } });
  }
  /** Handles the plain links and buttons of the lines. */
  function handleClick(event: MouseEvent) {
    const control = (event.target as Element).closest<HTMLElement>("a, button");
    if (!control || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { tag, run } = control.dataset;
    if (tag !== undefined) {
      void navigate({ to: "/pipelines", search: (current) => parsePipelineSearch({ ...current, tag }) });
    } else if (run !== undefined) {
      const row = rows.find(({ id }) => id === run);
      if (row && notRunnableReason(row) === null) runPipeline.start(row);
    } else {
      event.preventDefault();
      void navigate({ href: control.getAttribute("href")! });
    }
  }
  function activate(item: Item) {
    if (item.kind === "heading") props.onToggleGroup(item.group);
    else open(item.row);
  }
  function handleKey(event: KeyboardEvent, index: number) {
    const isOnLine = event.target === event.currentTarget;
    const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
    if (NO_MODIFIER_KEYS.includes(event.key) && hasModifier) return;
    const target = targetOf(event.key, index, items.length);
    const item = items[index]!;
    if (target !== null) {
      if (event.shiftKey) extendSelection(item, items[target]);
      focusLine(target);
    } else if (event.key === "Enter" && isOnLine) activate(item);
    else if (event.key === " " && isOnLine) {
      if (item.kind === "heading") activate(item);
      else if (canSelect(item.row)) selection.toggle(item.row.id, { range: event.shiftKey });
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey) && selectableCount > 0) {
      selection.setAll(true);
    } else if (event.key === "Escape" && selection.ids.size > 0) selection.setAll(false);
    else return;
    event.preventDefault();
  }
  function extendSelection(from: Item, to: Item | undefined) {
    for (const item of [from, to]) {
      if (item?.kind === "pipeline" && canSelect(item.row)) selection.toggle(item.row.id, { value: true });
    }
  }
  return (
    <div
      role={search.group ? "treegrid" : "grid"}
      aria-label="Pipelines"
      aria-rowcount={items.length + 1}
      aria-multiselectable={selectableCount > 0 ? true : undefined}
      className="@container"
      style={{ "--check": selectableCount > 0 ? "1.25rem" : "0rem" } as React.CSSProperties}
    >
      {/* In a narrow window it has only the box that selects all. */}
      <div
        role="rowgroup"
        className={classNames(
          "z-10 rounded-t-card bg-surface lg:sticky lg:top-0",
          selectableCount === 0 && "max-md:sr-only",
        )}
      >
        <div role="row" aria-rowindex={1} className={classNames(LINE_CLASSES, "h-8 border-b border-line")}>
          <div role="columnheader" className={COLUMNS.check.className}>
            {selectableCount > 0 ? (
              <SelectAll selection={selection} count={selectableCount} />
            ) : (
              <span className="sr-only">Selection</span>
            )}
          </div>
          {HEADINGS.map((column) => (
            <Heading key={column.label} {...column} search={search} />
          ))}
          <div role="columnheader" className={COLUMNS.action.className}>
            <span className="sr-only">Actions</span>
          </div>
        </div>
      </div>
      <div
        role="rowgroup"
        ref={body}
        onClick={handleClick}
        className="relative"
        style={{ height: virtualizer.getTotalSize() }}
      >
        {lines.map(({ key, index, start, size }) => {
          const item = items[index]!;
          const isActive = index === activeIndex;
          const isSelected = item.kind === "pipeline" && selection.ids.has(item.row.id);
          return (
            <div
              key={key}
              role="row"
              data-line={index}
              aria-rowindex={index + 2}
              aria-selected={item.kind === "pipeline" && selectableCount > 0 ? isSelected : undefined}
              aria-expanded={item.kind === "heading" ? !item.isClosed : undefined}
              tabIndex={isActive ? 0 : -1}
              className={classNames(
                "absolute inset-x-0 top-0 cursor-pointer border-b border-line outline-offset-[-2px] hover:bg-hover",
                item.kind === "heading" ? "flex items-center bg-side px-3" : LINE_CLASSES,
                isSelected && "bg-picked",
              )}
              style={{ height: size, transform: `translateY(${start - top}px)` }}
              onFocus={() => setActiveKey(item.key)}
              onKeyDown={(event) => handleKey(event, index)}
              onClick={(event) => !isOnControl(event) && activate(item)}
            >
              {item.kind === "heading" ? (
                <GroupHeading label={item.label} count={item.count} isClosed={item.isClosed} />
              ) : (
                <PipelineCells
                  row={item.row}
                  runs={runs.get(item.row.id)}
                  sourceName={kindName("source", item.row.source_kind)}
                  destinationName={kindName("destination", item.row.destination_kind)}
                  isActive={isActive}
                  isSelected={isSelected}
                  canSelect={canSelect(item.row)}
                  canRun={readOnlyReason === null && hasPermission("pipelines.run", item.row.domain?.id)}
                  onSelect={select}
                />
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

const HEADINGS: { label: string; order?: Order; className: string }[] = [
  COLUMNS.route,
  COLUMNS.name,
  COLUMNS.streams,
  COLUMNS.labels,
  COLUMNS.schedule,
  COLUMNS.next,
  COLUMNS.runs,
  COLUMNS.last,
  COLUMNS.duration,
  COLUMNS.freshness,
];

function Heading({
  label,
  order,
  className,
  search,
}: (typeof HEADINGS)[number] & { search: PipelineSearch }) {
  const navigate = useNavigate({ from: "/pipelines" });
  const isChosen = order !== undefined && search.order === order;
  const classes = classNames(className, "text-xs text-faint whitespace-nowrap max-md:sr-only!");
  if (!order)
    return (
      <div role="columnheader" className={classes}>
        {label}
      </div>
    );
  const direction = order === "last_run" || order === "duration" ? "descending" : "ascending";
  return (
    <div role="columnheader" className={classes} aria-sort={isChosen ? direction : undefined}>
      <SortButton
        label={label}
        direction={isChosen ? direction : null}
        title={isChosen ? "Sort by newest" : `Sort by ${label.toLowerCase()}`}
        onClick={() =>
          void navigate({ search: (current) => ({ ...current, order: isChosen ? undefined : order }) })
        }
      />
    </div>
  );
}

function SelectAll({ selection, count }: { selection: Selection; count: number }) {
  const isAll = selection.ids.size === count;
  const isSome = selection.ids.size > 0 && !isAll;
  return (
    <input
      type="checkbox"
      aria-label={`Select all ${formatCount(count)} pipelines that match`}
      className="block size-4 accent-live"
      checked={isAll}
      ref={(box) => {
        if (box) box.indeterminate = isSome;
      }}
      onChange={() => selection.setAll(!isAll)}
    />
  );
}

function GroupHeading({ label, count, isClosed }: { label: string; count: number; isClosed: boolean }) {
  return (
    <div role="gridcell" className="flex min-w-0 items-center gap-2 font-medium">
      <ChevronIcon className={classNames("shrink-0 text-faint", isClosed && "-rotate-90")} />
      <bdi className="truncate">{label}</bdi>
      <span className="font-normal text-faint tabular-nums">{formatCount(count)}</span>
    </div>
  );
}

/** The line that a key moves to, or null for other keys. */
function targetOf(key: string, index: number, count: number): number | null {
  switch (key) {
    case "ArrowDown":
    case "j":
      return Math.min(index + 1, count - 1);
    case "ArrowUp":
    case "k":
      return Math.max(index - 1, 0);
    case "PageDown":
      return Math.min(index + 20, count - 1);
    case "PageUp":
      return Math.max(index - 20, 0);
    case "Home":
      return 0;
    case "End":
      return count - 1;
  }
  return null;
}

/** Whether a click was on something that does its own work, or selected text. */
function isOnControl({ target }: MouseEvent): boolean {
  const isControl = target instanceof Element && target.closest("a, button, input, label") !== null;
  return isControl || getSelection()?.type === "Range";
}

/** The ids of the chunks of pipelines in which visible lines are. A chunk does not change while the list is scrolled. */
function useVisibleChunks(rows: PipelineRow[], visible: (Item | undefined)[]): string[][] {
  const positions = useMemo(() => new Map(rows.map((row, index) => [row.id, index])), [rows]);
  const numbers = new Set(
    visible.flatMap((item) =>
      item?.kind === "pipeline" ? [Math.floor((positions.get(item.row.id) ?? 0) / RUNS_CHUNK)] : [],
    ),
  );
  return [...numbers]
    .sort((one, other) => one - other)
    .map((number) => rows.slice(number * RUNS_CHUNK, (number + 1) * RUNS_CHUNK).map(({ id }) => id));
}

function subscribeToWidth(listener: () => void): () => void {
  const query = matchMedia(NARROW_WINDOW);
  query.addEventListener("change", listener);
  return () => query.removeEventListener("change", listener);
}

function useIsNarrow(): boolean {
  return useSyncExternalStore(subscribeToWidth, () => matchMedia(NARROW_WINDOW).matches);
}

/** The distance of the element from the top of the page in pixels. It changes when something above it does. */
function useDistanceFromTop(element: React.RefObject<HTMLElement | null>): number {
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    function measure() {
      if (element.current) setTop(Math.round(element.current.getBoundingClientRect().top + scrollY));
    }
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [element]);
  return top;
}

function useLatest<T>(value: T): React.RefObject<T> {
  const ref = useRef(value);
  useEffect(() => {
    ref.current = value;
  });
  return ref;
}
