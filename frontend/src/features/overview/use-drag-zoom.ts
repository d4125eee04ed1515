import { useRef, useState, type PointerEvent as ReactPointerEvent } from "react";
import type { Span } from "./timeline-layout";

const LEAST_DRAG = 6; // pixels; less is a click

/** Lets the user select a part of the timeline with the mouse. `selection` is in pixels from the left of the plot. */
export function useDragZoom(span: Span, onZoom: (span: Span) => void) {
  const [selection, setSelection] = useState<{ left: number; width: number } | null>(null);
  const dragged = useRef(false);

  function onPointerDown(event: ReactPointerEvent<HTMLElement>) {
    const plot = (event.target as HTMLElement).closest<HTMLElement>("[data-plot]");
    dragged.current = false;
    if (!plot || event.pointerType === "touch" || event.button !== 0) return;
    const { left, width } = plot.getBoundingClientRect();
    const start = event.clientX - left;
    const placeOf = ({ clientX }: PointerEvent) => Math.max(0, Math.min(width, clientX - left));

    function move(moved: PointerEvent) {
      const place = placeOf(moved);
      dragged.current ||= Math.abs(place - start) >= LEAST_DRAG;
      if (dragged.current) setSelection({ left: Math.min(start, place), width: Math.abs(place - start) });
    }
    function end(ended: PointerEvent) {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      setSelection(null);
      if (!dragged.current || ended.type === "pointercancel") return;
      const [first, last] = [start, placeOf(ended)].sort((a, b) => a - b) as [number, number];
      const timeAt = (place: number) => span.start + (place / width) * (span.end - span.start);
      onZoom({ start: timeAt(first), end: timeAt(last) });
    }
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }

  /** Whether the click that follows a drag must not open anything. */
  function isDrag(): boolean {
    return dragged.current;
  }

  return { selection, onPointerDown, isDrag };
}
