import { lazy, Suspense, useId } from "react";
import { CodeBoundary } from "@/components/code-boundary";
import { loadCode } from "@/components/lazy-code";
import type { AxisUnit } from "@/format/axis";
import { shortTime } from "@/format/time";
import type { Series } from "./plot";

const Plot = lazy(loadCode(() => import("./plot").then(({ Plot }) => ({ default: Plot }))));

export interface ChartProps {
  /** Says what the chart shows, for example "Duration of the last 50 runs". */
  title: string;
  /** The time of each value, oldest first. All have the same distance on the axis. */
  times: string[];
  series: Series[];
  /** Writes a value with its unit. */
  format: (value: number) => string;
  /** What the values are. It decides about the marks of the vertical axis. */
  unit?: AxisUnit;
  /** In pixels. */
  height?: number;
  /** Opens what belongs to the value with this index. */
  onPick?: (index: number) => void;
}

/**
 * A chart of values over time. The library that draws it is loaded when the first chart is shown. A table that only screen
 * readers see has the same values. The chart has its height from the start, so that nothing moves when it appears.
 */
export function Chart({ title, times, series, format, unit = "count", height = 160, onPick }: ChartProps) {
  const titleId = useId();
  return (
    <figure aria-labelledby={titleId} className="relative">
      <figcaption id={titleId} className="mb-1 text-[0.8125rem] text-soft">
        {title}
      </figcaption>
      {/* Without the containment, a chart that was drawn in a wide window would keep a narrow one from getting narrower. */}
      <div aria-hidden="true" className="[contain:inline-size]" style={{ height }}>
        <CodeBoundary fallback={<p className="text-soft">The chart could not be loaded.</p>}>
          <Suspense fallback={<div className="skeleton h-full" />}>
            <Plot times={times} series={series} format={format} unit={unit} height={height} onPick={onPick} />
          </Suspense>
        </CodeBoundary>
      </div>
      {/* A table is at least as wide as its text, so it is hidden by the element around it. */}
      <div className="sr-only">
        <table>
          <caption>{title}</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {series.map(({ label }) => (
                <th key={label} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {times.map((time, index) => (
              <tr key={index}>
                <th scope="row">{shortTime(time)}</th>
                {series.map(({ label, values }) => {
                  const value = values[index];
                  return <td key={label}>{value == null ? "none" : format(value)}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
