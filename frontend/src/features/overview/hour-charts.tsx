import { useMemo } from "react";
import type { Overview } from "@/api/types";
import { Chart } from "@/components/chart/chart";
import { formatDuration } from "@/format/duration";
import { formatShortCount } from "@/format/number";

const NO_HOURS: Overview["hours"] = [];

/** Volume and duration of the runs by the hour in which they ended. */
export function HourCharts({ overview }: { overview: Overview | undefined }) {
  const hours = overview?.hours ?? NO_HOURS;
  // The charts are drawn anew if their arrays are new ones.
  const charts = useMemo(
    () => ({
      times: hours.map(({ start }) => start),
      volume: [
        { label: "Records", values: hours.map(({ records }) => records), color: "live", kind: "bars" },
      ] as const,
      runs: [
        // The bars of failed runs are drawn over those of all runs that were not cancelled.
        {
          label: "Runs",
          values: hours.map(({ succeeded, failed }) => succeeded + failed),
          color: "good",
          kind: "bars",
        },
        { label: "Failed", values: hours.map(({ failed }) => failed), color: "bad", kind: "bars" },
      ] as const,
      duration: [
        {
          label: "Longest",
          values: hours.map(({ longest_seconds }) => longest_seconds),
          color: "soft",
          kind: "bars",
        },
        {
          label: "Average",
          values: hours.map(({ average_seconds }) => average_seconds),
          color: "brand",
          kind: "line",
        },
      ] as const,
    }),
    [hours],
  );
  return (
    <section aria-label="Volume and duration" className="grid gap-3 @3xl:grid-cols-3">
      <div className="card px-4 pt-3 pb-1">
        <Chart
          title="Records per hour"
          times={charts.times}
          series={[...charts.volume]}
          format={formatShortCount}
          height={120}
        />
      </div>
      <div className="card px-4 pt-3 pb-1">
        <Chart
          title="Runs per hour, failed ones in red"
          times={charts.times}
          series={[...charts.runs]}
          format={formatShortCount}
          height={120}
        />
      </div>
      <div className="card px-4 pt-3 pb-1">
        <Chart
          title="Duration of a run: longest and average"
          times={charts.times}
          series={[...charts.duration]}
          format={formatDuration}
          unit="seconds"
          height={120}
        />
      </div>
    </section>
  );
}
