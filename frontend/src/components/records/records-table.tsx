import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, type KeyboardEvent } from "react";
import type { StoredRows } from "@/api/types";
import { classNames } from "@/components/class-names";
import { formatCount } from "@/format/number";
import { columnWidths, isNumeric, shortText, visibleText } from "./cells";

const ROW_HEIGHT = 28; // pixels
const HEADER_HEIGHT = 44;
const CHARACTER_WIDTH = 7.6; // of the monospaced font
const NUMBER_WIDTH = 64;
const ROWS_PER_PAGE_KEY = 15;
const ROWS_BEFORE_LOADING = 30;
/** For the first rendering, before the browser has measured the box. */
const INITIAL_BOX = { width: 1200, height: 480 };

export interface CellPosition {
  row: number;
  column: number;
}

interface Props {
  label: string;
  columns: StoredRows["columns"];
  records: StoredRows["records"];
  selected: CellPosition | null;
  onSelect: (position: CellPosition) => void;
  onOpen: (position: CellPosition) => void;
  onCopy: (position: CellPosition) => void;
  /** Called when the end is near and there are more records; null if there are none. */
  loadMore: (() => void) | null;
}

/** A table of any number of records and columns, of which only the visible ones are rendered. */
export function RecordsTable({
  label,
  columns,
  records,
  selected,
  onSelect,
  onOpen,
  onCopy,
  loadMore,
}: Props) {
  const box = useRef<HTMLDivElement>(null);
  const widths = columnWidths({ columns, records }).map((width) => Math.round(width * CHARACTER_WIDTH));
  const rows = useVirtualizer({
    count: records.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    initialRect: INITIAL_BOX,
    paddingStart: HEADER_HEIGHT,
    scrollPaddingStart: HEADER_HEIGHT,
  });
  const across = useVirtualizer({
    horizontal: true,
    count: columns.length,
    getScrollElement: () => box.current,
    estimateSize: (index) => widths[index] ?? 0,
    overscan: 4,
    initialRect: INITIAL_BOX,
    paddingStart: NUMBER_WIDTH,
    scrollPaddingStart: NUMBER_WIDTH,
  });
  const visibleRows = rows.getVirtualItems();
  const visibleColumns = across.getVirtualItems();
  const lastVisible = visibleRows.at(-1)?.index ?? 0;

  const isNearEnd = lastVisible >= records.length - ROWS_BEFORE_LOADING;
  useEffect(() => {
    if (isNearEnd) loadMore?.();
  }, [isNearEnd, loadMore, records.length]);

  // An arrow key may select a cell that is not visible.
  useEffect(() => {
    if (!selected) return;
    rows.scrollToIndex(selected.row);
    across.scrollToIndex(selected.column);
  }, [selected, rows, across]);

  function move(event: KeyboardEvent) {
    const current = selected ?? { row: 0, column: 0 };
    if (event.key === "Enter" && selected) onOpen(selected);
    else if (event.key.toLowerCase() === "c" && (event.ctrlKey || event.metaKey)) {
      // A text that the user has marked is copied by the browser.
      if (!selected || document.getSelection()?.toString()) return;
      onCopy(selected);
    } else {
      const next = selected ? nextCell(event, current) : firstCell(event.key, current);
      if (!next) return;
      onSelect({
        row: Math.min(Math.max(next.row, 0), records.length - 1),
        column: Math.min(Math.max(next.column, 0), columns.length - 1),
      });
    }
    event.preventDefault();
  }

  const cellId = (row: number, column: number) => `cell-${row}-${column}`;
  return (
    <div
      ref={box}
      role="grid"
      aria-label={label}
      aria-rowcount={records.length + 1}
      aria-colcount={columns.length + 1}
      aria-activedescendant={selected ? cellId(selected.row, selected.column) : undefined}
      tabIndex={0}
      onKeyDown={move}
      className="max-h-[34rem] min-h-32 overflow-auto font-mono text-[0.78rem]"
    >
      <div
        className="relative min-w-full"
        style={{ height: rows.getTotalSize(), width: across.getTotalSize() }}
      >
        <div
          role="row"
          aria-rowindex={1}
          className="sticky top-0 z-20 border-b border-line bg-side"
          style={{ height: HEADER_HEIGHT }}
        >
          <div
            role="columnheader"
            aria-colindex={1}
            className="sticky left-0 z-10 h-full bg-side px-2 pt-1.5 text-right text-faint"
            style={{ width: NUMBER_WIDTH }}
          >
            <span aria-hidden="true">#</span>
            <span className="sr-only">Number</span>
          </div>
          {visibleColumns.map(({ index, start, size }) => (
            <div
              key={index}
              role="columnheader"
              aria-colindex={index + 2}
              title={`${columns[index]!.name}, ${columns[index]!.stored_as}`}
              className={classNames(
                "absolute top-0 px-2 pt-1",
                isNumeric(columns[index]!.type) && "text-right",
              )}
              style={{ left: start, width: size }}
            >
              <span dir="auto" className="block truncate font-sans font-medium">
                {visibleText(columns[index]!.name)}
              </span>
              <span className="block truncate text-[0.7rem] text-faint lowercase">
                {columns[index]!.stored_as}
              </span>
            </div>
          ))}
        </div>
        {visibleRows.map((row) => (
          <div
            key={row.index}
            role="row"
            aria-rowindex={row.index + 2}
            className="absolute left-0 w-full border-b border-line hover:bg-hover"
            style={{ top: row.start, height: ROW_HEIGHT }}
          >
            <div
              role="rowheader"
              aria-colindex={1}
              className="sticky left-0 z-10 h-full bg-side px-2 text-right leading-7 text-faint tabular-nums"
              style={{ width: NUMBER_WIDTH }}
            >
              {formatCount(row.index + 1)}
            </div>
            {visibleColumns.map(({ index, start, size }) => {
              const isSelected = selected?.row === row.index && selected.column === index;
              return (
                <div
                  key={index}
                  id={cellId(row.index, index)}
                  role="gridcell"
                  aria-colindex={index + 2}
                  aria-selected={isSelected}
                  onClick={() => onSelect({ row: row.index, column: index })}
                  onDoubleClick={() => onOpen({ row: row.index, column: index })}
                  className={classNames(
                    "absolute top-0 truncate px-2 leading-7",
                    isNumeric(columns[index]!.type) && "text-right tabular-nums",
                    isSelected && "rounded-sm bg-picked outline-2 -outline-offset-2 outline-live",
                  )}
                  style={{ left: start, width: size, height: ROW_HEIGHT }}
                >
                  <Value text={records[row.index]![index] ?? null} type={columns[index]!.type} />
                </div>
              );
            })}
          </div>
        ))}
      </div>
    </div>
  );
}

/** A missing value and an empty text look different from any text. */
export function Value({ text, type }: { text: string | null; type: string }) {
  if (text === null) return <em className="text-faint">null</em>;
  if (text === "") return <em className="text-faint">empty text</em>;
  return <bdi>{visibleText(shortText(text, type))}</bdi>;
}

const STEPS: Record<string, CellPosition> = {
  ArrowDown: { row: 1, column: 0 },
  ArrowUp: { row: -1, column: 0 },
  ArrowRight: { row: 0, column: 1 },
  ArrowLeft: { row: 0, column: -1 },
  PageDown: { row: ROWS_PER_PAGE_KEY, column: 0 },
  PageUp: { row: -ROWS_PER_PAGE_KEY, column: 0 },
  Home: { row: 0, column: -Infinity },
  End: { row: 0, column: Infinity },
};

function nextCell({ key, ctrlKey, metaKey }: KeyboardEvent, current: CellPosition): CellPosition | null {
  const step = STEPS[key];
  if (!step) return null;
  if ((key === "Home" || key === "End") && (ctrlKey || metaKey)) {
    return key === "Home" ? { row: 0, column: 0 } : { row: Infinity, column: Infinity };
  }
  return { row: current.row + step.row, column: current.column + step.column };
}

/** The first key selects the first cell. */
function firstCell(key: string, current: CellPosition): CellPosition | null {
  return key in STEPS ? current : null;
}
