import {
  useCallback,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type Ref,
} from "react";
import { classNames } from "@/components/class-names";
import type { LogLines } from "./log-lines";
import { hiddenPart, LogRow, openHeight } from "./log-row";
import { ROW_HEIGHT, RowLayout } from "./row-layout";

const OVERSCAN = 15; // rows above and below those in view
const ROWS_OF_BASE = 100;
const FETCHED_AHEAD = 100; // rows
const FOLLOW_DISTANCE = 2 * ROW_HEIGHT; // pixels from the end at which the panel still follows new lines
/** A scroll event so long after the last action of the user is a consequence of it. */
const ACTION_MILLISECONDS = 1_000;
const SCROLL_BAR = 16; // pixels
const PADDING = 4; // pixels above the first row and below the last

export interface LogRowsHandle {
  /** Shows this position in the middle, and moves the focus to the lines. */
  jumpTo: (position: number, options: { focus: boolean }) => void;
}

interface Props {
  ref: Ref<LogRowsHandle>;
  lines: LogLines;
  searched: string;
  markedLine: number | null;
  /** Whether the end is shown, and new lines move it. */
  isFollowing: boolean;
  onFollow: (isFollowing: boolean) => void;
  onMark: (line: number) => void;
  /** The lines for which there is room from the start, or null if the class has a fixed height. */
  expectedLines: number | null;
  className: string;
}

/** The lines of a log in a region that scrolls. Only the rows in view are rendered, and only their lines are fetched. */
export function LogRows({
  ref,
  lines,
  searched,
  markedLine,
  isFollowing,
  onFollow,
  onMark,
  expectedLines,
  className,
}: Props) {
  const box = useRef<HTMLDivElement>(null);
  const lastAction = useRef(-Infinity);
  const [scrollTop, setScrollTop] = useState(0);
  const [size, setSize] = useState({ width: 600, height: 400 });
  // The height of the text of each opened row. It belongs to these lines and not to those of another search.
  const [openedOf, setOpenedOf] = useState({ lines, heights: new Map<number, number>() });
  const opened = openedOf.lines === lines ? openedOf.heights : NOTHING_OPENED;
  const layout = new RowLayout(lines.count, opened, size.height - 2 * PADDING);
  const listTop = layout.listTop(scrollTop);
  const first = Math.max(0, layout.rowAt(listTop) - OVERSCAN);
  const last = Math.min(lines.count, layout.rowAt(listTop + size.height) + 1 + OVERSCAN);

  useEffect(() => {
    lines.want(first - FETCHED_AHEAD, last + FETCHED_AHEAD);
  }, [lines, first, last, lines.count]);

  useLayoutEffect(() => {
    const element = box.current!;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (isFollowing) box.current!.scrollTop = box.current!.scrollHeight;
  }, [isFollowing, layout.elementHeight, lines, size.height]);

  useImperativeHandle(ref, () => ({
    jumpTo(position, { focus }) {
      const element = box.current!;
      const middle = (element.clientHeight - ROW_HEIGHT) / 2;
      element.scrollTop = layout.scrollTop(layout.top(position) - middle);
      setScrollTop(element.scrollTop);
      if (focus) element.focus({ preventScroll: true });
    },
  }));

  function onScroll() {
    const element = box.current!;
    setScrollTop(element.scrollTop);
    if (element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOW_DISTANCE) onFollow(true);
    // New lines move the end away too, so only what the user does ends the following.
    else if (performance.now() - lastAction.current < ACTION_MILLISECONDS) onFollow(false);
  }
  function onAction() {
    lastAction.current = performance.now();
  }
  function onKeyDown(event: KeyboardEvent) {
    onAction();
    if (event.target !== box.current || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = size.height - 2 * ROW_HEIGHT;
    const target = {
      ArrowUp: listTop - ROW_HEIGHT,
      ArrowDown: listTop + ROW_HEIGHT,
      PageUp: listTop - page,
      PageDown: listTop + page,
      Home: 0,
      End: layout.height,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault(); // the browser scrolls by pixels of the element, which may be several rows of a long log
    box.current.scrollTop = layout.scrollTop(target);
  }
  // A row is rendered again only if its properties differ, so its functions stay the same while the list is scrolled.
  const toggle = useCallback(
    (position: number) => {
      const line = lines.at(position);
      if (!line) return;
      setOpenedOf((before) => {
        const heights = new Map(before.lines === lines ? before.heights : NOTHING_OPENED);
        if (!heights.delete(position)) heights.set(position, openHeight(line));
        return { lines, heights };
      });
    },
    [lines],
  );
  const latestOnMark = useRef(onMark);
  useEffect(() => {
    latestOnMark.current = onMark;
  });
  const mark = useCallback((line: number) => latestOnMark.current(line), []);

  // The rows are placed below this one, so that only their container moves while they are scrolled.
  const base = Math.floor(first / ROWS_OF_BASE) * ROWS_OF_BASE;
  const positions = Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
  const numberWidth = `${String(lines.total).length}ch`;
  return (
    <div
      ref={box}
      role="log"
      aria-live="off"
      aria-label="Log lines"
      tabIndex={0}
      onScroll={onScroll}
      onWheel={onAction}
      onTouchMove={onAction}
      onKeyDown={onKeyDown}
      onPointerMove={({ buttons }) => buttons > 0 && onAction()}
      onPointerDown={onAction}
      className={classNames("overflow-auto py-1 font-mono text-[0.78rem] leading-5", className)}
      style={{
        ["--log-width" as string]: `${size.width}px`,
        height:
          expectedLines === null
            ? undefined
            : Math.max(expectedLines * ROW_HEIGHT, layout.height) + 2 * PADDING + SCROLL_BAR,
      }}
    >
      <div className="relative w-max min-w-full" style={{ height: layout.elementHeight }}>
        <div style={{ transform: `translateY(${layout.elementTop(base, scrollTop)}px)` }}>
          {positions.map((position) => {
            const line = lines.at(position);
            const top = layout.top(position) - layout.top(base);
            if (!line) return <MissingRow key={position} top={top} numberWidth={numberWidth} />;
            return (
              <LogRow
                key={position}
                line={line}
                position={position}
                numberWidth={numberWidth}
                top={top}
                isMarked={line.line === markedLine}
                searched={searched}
                openedHeight={hiddenPart(line) === null ? null : (opened.get(position) ?? null)}
                onToggle={toggle}
                onMark={mark}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

const NOTHING_OPENED: ReadonlyMap<number, number> = new Map();

/** Takes the place of a line that is being fetched. */
function MissingRow({ top, numberWidth }: { top: number; numberWidth: string }) {
  return (
    <div
      aria-hidden="true"
      className="absolute left-0 flex h-5 items-center gap-3 px-3"
      style={{ transform: `translateY(${top}px)` }}
    >
      <span style={{ minWidth: numberWidth }} />
      <span className="h-2 w-64 rounded-full bg-hover" />
    </div>
  );
}
