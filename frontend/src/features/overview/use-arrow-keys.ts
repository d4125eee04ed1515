import { useState, type KeyboardEvent, type RefObject } from "react";

/** A link or a bar of the timeline: the number of its row, and its position in the row, from the left. */
interface Stop {
  row: number;
  position: number;
}

/**
 * Lets Tab reach one element of the timeline, and the arrow keys, Home and End move between all of them. Rows that are not
 * rendered are scrolled into view first.
 */
export function useArrowKeys(
  list: RefObject<HTMLElement | null>,
  rowCount: number,
  scrollToRow: (row: number) => void,
) {
  const [stop, setStop] = useState<Stop>({ row: 0, position: 0 });

  function focus(row: number, position: (row: HTMLElement) => number) {
    scrollToRow(row);
    // The virtual list renders a row that was not visible after it has scrolled.
    if (!focusRendered(row, position)) requestAnimationFrame(() => focusRendered(row, position));
  }

  function focusRendered(row: number, position: (row: HTMLElement) => number): boolean {
    const element = list.current?.querySelector<HTMLElement>(`[data-row="${row}"]`);
    if (!element) return false;
    const stops = stopsOf(element);
    const next = Math.max(0, Math.min(position(element), stops.length - 1));
    setStop({ row, position: next });
    stops[next]?.focus();
    return true;
  }

  function onKeyDown(event: KeyboardEvent) {
    const current = (event.target as HTMLElement).closest<HTMLElement>("[data-stop]");
    const rowElement = current?.closest<HTMLElement>("[data-row]");
    if (!current || !rowElement) return;
    const row = Number(rowElement.dataset.row);
    const index = stopsOf(rowElement).indexOf(current);
    const left = current.getBoundingClientRect().left;
    const moves: Record<string, () => void> = {
      ArrowRight: () => focus(row, () => index + 1),
      ArrowLeft: () => focus(row, () => index - 1),
      Home: () => focus(row, () => 0),
      End: () => focus(row, () => Infinity),
      ArrowDown: () => row + 1 < rowCount && focus(row + 1, (element) => nearest(element, left)),
      ArrowUp: () => row > 0 && focus(row - 1, (element) => nearest(element, left)),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }

  return { stop, onKeyDown };
}

function stopsOf(row: HTMLElement): HTMLElement[] {
  return [...row.querySelectorAll<HTMLElement>("[data-stop]")];
}

/** The position of the element in the row that is nearest to this place. */
function nearest(row: HTMLElement, left: number): number {
  const distances = stopsOf(row).map((stop) => Math.abs(stop.getBoundingClientRect().left - left));
  return distances.indexOf(Math.min(...distances));
}
