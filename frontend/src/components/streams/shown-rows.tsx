import { defaultRangeExtractor, useVirtualizer, type Range } from "@tanstack/react-virtual";
import type { ReactNode } from "react";
import type { StreamInfo } from "@/api/types";

export const MAX_WITHOUT_WINDOW = 100; // rows
const ROW_HEIGHT = 52; // pixels of a row before it is measured
const HEADER_HEIGHT = 36; // pixels
const COLUMNS = 5;

interface Props {
  streams: StreamInfo[];
  /** The box that scrolls; null before it exists. */
  box: HTMLElement | null;
  /** The row that has to exist although it is not in view, because it has the focus or gets it next. */
  kept: string | undefined;
  render: (info: StreamInfo) => ReactNode;
}

/** The bodies of the table, one for each stream. Of many streams, only those near the visible part are rendered. */
export function ShownRows(props: Props) {
  if (props.streams.length > MAX_WITHOUT_WINDOW) return <RowsInView {...props} />;
  return props.streams.map((info) => <tbody key={info.name}>{props.render(info)}</tbody>);
}

function RowsInView({ streams, box, kept, render }: Props) {
  const keptIndex = streams.findIndex(({ name }) => name === kept);
  const virtualizer = useVirtualizer({
    count: streams.length,
    getScrollElement: () => box,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => streams[index]!.name,
    scrollMargin: HEADER_HEIGHT,
    overscan: 10,
    rangeExtractor: (range) => withIndex(range, keptIndex),
  });
  const rows = virtualizer.getVirtualItems();
  const end = HEADER_HEIGHT + virtualizer.getTotalSize();
  return (
    <>
      {rows.map(({ key, index, start }, position) => [
        <Gap key={`before ${index}`} height={start - (rows[position - 1]?.end ?? HEADER_HEIGHT)} />,
        <tbody key={key} data-index={index} ref={virtualizer.measureElement}>
          {render(streams[index]!)}
        </tbody>,
      ])}
      <Gap height={end - (rows.at(-1)?.end ?? HEADER_HEIGHT)} />
    </>
  );
}

function withIndex(range: Range, index: number): number[] {
  const indexes = defaultRangeExtractor(range);
  return index < 0 ? indexes : [...new Set([...indexes, index])].sort((one, other) => one - other);
}

/** The place of rows that are not rendered. */
function Gap({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tbody aria-hidden="true">
      <tr>
        <td colSpan={COLUMNS} style={{ height }} className="p-0" />
      </tr>
    </tbody>
  );
}
