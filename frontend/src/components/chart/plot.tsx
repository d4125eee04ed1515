import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisMarks, type AxisUnit } from "@/format/axis";
import { shortTime } from "@/format/time";
import type { ChartProps } from "./chart";

/** Values of one kind. They are drawn as bars or as a line, in a color of the theme. */
export interface Series {
  label: string;
  /** One for each time; null where there is none. */
  values: (number | null)[];
  color: "good" | "bad" | "wait" | "live" | "brand" | "soft";
  kind: "bars" | "line";
}

type PlotProps = Required<Pick<ChartProps, "times" | "series" | "format" | "unit" | "height">> &
  Pick<ChartProps, "onPick">;

const AXIS_FONT = "11px ui-sans-serif, system-ui, sans-serif";
const Y_AXIS_WIDTH = 64; // pixels, for texts such as "1 h 20 min"
const MAX_BAR_WIDTH = 28; // pixels
const LEAST_STEP = 50; // least height of a step of the vertical axis, in pixels, with the space around the plot
const LABEL_DISTANCE = 60; // least distance of two times on the axis, in pixels

/**
 * Draws the chart on a canvas, when the browser has nothing more urgent to do. It is drawn anew when its series, its size or
 * the theme change.
 */
export function Plot({ times, series, format, unit, height, onPick }: PlotProps) {
  const container = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = useRef({ times, series, format, onPick });
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const theme = useTheme();
  const layout = series.map(({ label, color, kind }) => `${label} ${color} ${kind}`).join("\n");

  useEffect(() => {
    shown.current = { times, series, format, onPick };
    plot.current?.setData(dataOf(times, series));
  }, [times, series, format, onPick]);

  useEffect(() => {
    const element = container.current;
    // Some browsers forbid canvases. The table below the chart has the same values.
    if (!element || !document.createElement("canvas").getContext("2d")) return;
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    const cancel = whenIdle(() => {
      const drawn = new uPlot(
        optionsOf(element, height, unit, shown, setPointed),
        dataOf(shown.current.times, shown.current.series),
        element,
      );
      plot.current = drawn;
      drawn.over.addEventListener("click", () => {
        if (drawn.cursor.idx != null) shown.current.onPick?.(drawn.cursor.idx);
      });
      resized.observe(element);
    });
    return () => {
      cancel();
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [layout, height, unit, theme]);

  return (
    <div className="relative">
      <div ref={container} className={onPick && "[&_.u-over]:cursor-pointer"} />
      {pointed && <Tooltip pointed={pointed} times={times} series={series} format={format} />}
    </div>
  );
}

const LATEST = 1_000; // milliseconds, after which a chart is drawn also by a busy browser

/** Calls the function when the browser is idle, and returns a function that prevents the call. Safari knows no idle time. */
function whenIdle(action: () => void): () => void {
  if (!("requestIdleCallback" in globalThis)) {
    const timer = setTimeout(action);
    return () => clearTimeout(timer);
  }
  const request = requestIdleCallback(action, { timeout: LATEST });
  return () => cancelIdleCallback(request);
}

/** The index of the value below the pointer, and its place in the chart. */
interface Pointed {
  index: number;
  left: number;
  isOnRight: boolean;
}

interface TooltipProps extends Pick<PlotProps, "times" | "series" | "format"> {
  pointed: Pointed;
}

/** The values below the pointer. It lies over the chart, beside the pointer, so that nothing moves. */
function Tooltip({ pointed: { index, left, isOnRight }, times, series, format }: TooltipProps) {
  const time = times[index];
  if (time === undefined) return null;
  return (
    <div
      className="pointer-events-none absolute top-1 z-10 max-w-60 rounded-control border border-line bg-raised px-2.5 py-1.5 text-xs shadow-float"
      style={{ left, transform: `translateX(${isOnRight ? "calc(-100% - 10px)" : "10px"})` }}
    >
      <p className="whitespace-nowrap text-soft">{shortTime(time)}</p>
      {series.map(({ label, values, color }) => {
        const value = values[index];
        return (
          value != null && (
            <p key={label} className="flex items-center gap-1.5 whitespace-nowrap tabular-nums">
              <span className="size-2 rounded-xs" style={{ background: `var(--color-${color})` }} />
              {label}: {format(value)}
            </p>
          )
        );
      })}
    </div>
  );
}

function dataOf(times: string[], series: Series[]): uPlot.AlignedData {
  return [times.map((_, index) => index), ...series.map(({ values }) => values)];
}

function optionsOf(
  element: HTMLElement,
  height: number,
  unit: AxisUnit,
  shown: { current: Pick<PlotProps, "times" | "series" | "format"> },
  onPoint: (pointed: Pointed | null) => void,
): uPlot.Options {
  const [text, line] = [colorOf(element, "faint"), colorOf(element, "line")];
  const marks = (greatest: number) => axisMarks(greatest, unit, Math.floor(height / LEAST_STEP));
  const axis = { font: AXIS_FONT, stroke: text, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
    hooks: { setCursor: [(plot) => onPoint(pointedOf(plot))] },
    scales: {
      x: { time: false, range: (_plot, first, last) => [first - 0.6, last + 0.6] },
      y: { range: (_plot, _least, greatest) => [0, marks(greatest ?? 0).at(-1)!] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        space: LABEL_DISTANCE,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500],
        values: (_plot, splits) => axisLabels(shown.current.times, splits),
      },
      {
        ...axis,
        grid: { stroke: line, width: 1 },
        size: Y_AXIS_WIDTH,
        splits: (_plot, _axis, _least, greatest) => marks(greatest),
        values: (_plot, splits) => splits.map((value) => shown.current.format(value)),
      },
    ],
    series: [
      {},
      ...shown.current.series.map(({ label, color, kind }) => {
        const stroke = colorOf(element, color);
        return kind === "bars"
          ? {
              label,
              fill: stroke,
              width: 0,
              points: { show: false },
              paths: uPlot.paths.bars!({ size: [0.7, MAX_BAR_WIDTH], radius: 0.15 }),
            }
          : { label, stroke, width: 1.5, points: { show: false } };
      }),
    ],
  };
}

const TWO_DAYS = 2 * 86_400_000; // milliseconds
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const timeFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** The labels of these values: days, such as `5 Nov`, or times of day if all values are within two days. */
function axisLabels(times: string[], indexes: number[]): string[] {
  const isLong = Date.parse(times.at(-1) ?? "") - Date.parse(times[0] ?? "") > TWO_DAYS;
  const format = isLong ? dayFormat : timeFormat;
  return indexes.map((index) => (times[index] === undefined ? "" : format.format(new Date(times[index]))));
}

function pointedOf(plot: uPlot): Pointed | null {
  const { idx, left } = plot.cursor;
  if (idx == null || left == null || left < 0) return null;
  return { index: idx, left: plot.over.offsetLeft + left, isOnRight: left > plot.over.clientWidth / 2 };
}

/** Returns the color of the theme as a canvas needs it. A custom property itself has both themes' colors. */
function colorOf(element: HTMLElement, name: string): string {
  // A new element: a changed colour of an existing one may be in transition.
  const probe = document.createElement("span");
  probe.style.color = `var(--color-${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Changes when the user chooses another theme, or when the device does. */
function useTheme(): string {
  return useSyncExternalStore(subscribeToTheme, () => {
    const device = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    return document.documentElement.dataset.theme ?? device;
  });
}

function subscribeToTheme(listener: () => void): () => void {
  const device = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  device.addEventListener("change", listener);
  return () => {
    observer.disconnect();
    device.removeEventListener("change", listener);
  };
}
