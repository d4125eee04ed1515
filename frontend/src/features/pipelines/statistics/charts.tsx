import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { PipelineStatistics } from "@/api/types";
import { Chart, type ChartProps } from "@/components/chart/chart";
import { ErrorNotice } from "@/components/notice";
import { formatDuration, secondsBetween } from "@/format/duration";
import { formatShortCount, countWithNoun } from "@/format/number";
import { STATUS_WORDS } from "@/api/status-words";
import { Calendar } from "./calendar";
import { FailureStart } from "./failure-start";
import { statisticsQuery } from "./queries";

const CHART_HEIGHT = 130; // pixels

type Runs = PipelineStatistics["runs"];

/** How long the newest runs took, how many records they wrote, and how the days of the last half year went. */
export function PipelineCharts({ pipelineId, hasFailed }: { pipelineId: string; hasFailed: boolean }) {
  const { data, error, refetch } = useQuery(statisticsQuery(pipelineId));
  if (error && !data) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (!data) return <ChartsSkeleton hasFailed={hasFailed} />;
  if (data.runs.length === 0) return null;
  return (
    <div className="grid gap-4">
      {data.failing && <FailureStart pipelineId={pipelineId} failing={data.failing} />}
      <section aria-label="Charts" className="card @container grid gap-x-6 gap-y-4 p-4">
        <div className="grid gap-x-6 gap-y-4 @2xl:grid-cols-2">
          <RunsChart name="Duration" runs={data.runs} valueOf={durationOf} format={formatDuration} />
          <RunsChart
            name="Records"
            runs={data.runs}
            valueOf={({ records, status }) => (isEnded(status) ? records : null)}
            format={formatShortCount}
          />
        </div>
        <Calendar days={data.days} since={data.since} />
      </section>
    </div>
  );
}

/** Has the size of the charts, so that nothing moves when they appear. */
function ChartsSkeleton({ hasFailed }: { hasFailed: boolean }) {
  return (
    <div aria-busy="true" className="grid gap-4">
      {hasFailed && <div className="skeleton h-24 rounded-card" />}
      <div className="card @container grid gap-4 p-4">
        <div className="grid gap-x-6 gap-y-4 @2xl:grid-cols-2">
          <div className="skeleton" style={{ height: CHART_HEIGHT + 24 }} />
          <div className="skeleton" style={{ height: CHART_HEIGHT + 24 }} />
        </div>
        <div className="skeleton h-37 @2xl:h-40" />
      </div>
    </div>
  );
}

const STATUSES = [
  { status: "succeeded", color: "good" },
  { status: "failed", color: "bad" },
  { status: "cancelled", color: "soft" },
] as const;

interface RunsChartProps extends Pick<ChartProps, "format"> {
  name: string;
  runs: Runs;
  valueOf: (run: Runs[number]) => number | null;
}

/** A bar for each run, in the color of its status. A click opens the run. */
function RunsChart({ name, runs, valueOf, format }: RunsChartProps) {
  const navigate = useNavigate();
  const series = STATUSES.filter(({ status }) => runs.some((run) => run.status === status)).map(
    ({ status, color }) => ({
      label: STATUS_WORDS[status],
      color,
      kind: "bars" as const,
      values: runs.map((run) => (run.status === status ? valueOf(run) : null)),
    }),
  );
  return (
    <Chart
      title={`${name} of the last ${countWithNoun(runs.length, "run")}`}
      times={runs.map(({ created_at }) => created_at)}
      series={series}
      format={format}
      height={CHART_HEIGHT}
      onPick={(index) => {
        const run = runs[index];
        if (run) void navigate({ to: "/runs/$runId", params: { runId: run.id } });
      }}
    />
  );
}

function isEnded(status: string): boolean {
  return STATUSES.some((each) => each.status === status);
}

function durationOf({ started_at, finished_at }: Runs[number]): number | null {
  return started_at && finished_at ? secondsBetween(started_at, finished_at, 0) : null;
}
