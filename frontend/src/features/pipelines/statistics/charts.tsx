import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { PipelineStatistics, Usual } from "@/api/types";
import { classNames } from "@/components/class-names";
import { Chart, type ChartProps } from "@/components/chart/chart";
import { ErrorNotice } from "@/components/notice";
import { formatDuration, secondsBetween } from "@/format/duration";
import { formatShortCount, countWithNoun, withUnit } from "@/format/number";
import { FRESHNESS_WORDS, STATUS_WORDS } from "@/api/status-words";
import { Calendar } from "./calendar";
import { FailureStart } from "./failure-start";
import { statisticsQuery, usualQuery } from "./queries";
import { usualLines } from "./usual-range";

const CHART_HEIGHT = 130; // pixels

type Runs = PipelineStatistics["runs"];

interface Props {
  pipelineId: string;
  isFailing: boolean;
  /** Whether the pipeline has an active schedule. Without one, nothing is fresh or late. */
  hasFreshness: boolean;
}

/** How long the newest runs took, how many records they wrote, how fresh they were, and how the days of the last half year went. */
export function PipelineCharts({ pipelineId, isFailing, hasFreshness }: Props) {
  const { data, error, refetch } = useQuery(statisticsQuery(pipelineId));
  const hasRuns = data !== undefined && data.runs.length > 0;
  const { data: usual } = useQuery({ ...usualQuery(pipelineId), enabled: hasRuns }); // the charts do without it
  if (error && !data) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (!data) return <ChartsSkeleton isFailing={isFailing} hasFreshness={hasFreshness} />;
  if (!hasRuns) return null;
  return (
    <div className="grid gap-4">
      {data.failing && <FailureStart pipelineId={pipelineId} failing={data.failing} />}
      <section aria-label="Charts" className="card @container grid gap-x-6 gap-y-4 p-4">
        <div className={chartColumns(data.freshness !== null)}>
          <RunsChart
            name="Duration"
            runs={data.runs}
            valueOf={durationOf}
            usual={usual}
            usualValue="seconds"
            format={formatDuration}
            unit="seconds"
          />
          <RunsChart
            name="Records"
            runs={data.runs}
            valueOf={({ records, status }) => (isEnded(status) ? records : null)}
            usual={usual}
            usualValue="records"
            format={formatShortCount}
          />
          {data.freshness && (
            <div className={THIRD_CHART}>
              <FreshnessChart freshness={data.freshness} />
            </div>
          )}
        </div>
        <Calendar days={data.days} since={data.since} />
      </section>
    </div>
  );
}

/** Has the size of the charts, so that nothing moves when they appear. */
function ChartsSkeleton({ isFailing, hasFreshness }: Omit<Props, "pipelineId">) {
  return (
    <div aria-busy="true" className="grid gap-4">
      {isFailing && <div className="skeleton h-24 rounded-card" />}
      <div className="card @container grid gap-4 p-4">
        <div className={chartColumns(hasFreshness)}>
          {["duration", "records", ...(hasFreshness ? ["freshness"] : [])].map((name) => (
            <div
              key={name}
              className={classNames("skeleton", name === "freshness" && THIRD_CHART)}
              style={{ height: CHART_HEIGHT + 24 }}
            />
          ))}
        </div>
        <div className="skeleton h-37 @2xl:h-40" />
      </div>
    </div>
  );
}

function chartColumns(hasFreshness: boolean): string {
  return classNames("grid gap-x-6 gap-y-4 @2xl:grid-cols-2", hasFreshness && "@4xl:grid-cols-3");
}

/** The third chart is as wide as the two above it, where there is no room for three in a row. */
const THIRD_CHART = "@2xl:@max-4xl:col-span-2";

const STATUSES = [
  { status: "succeeded", color: "good" },
  { status: "failed", color: "bad" },
  { status: "cancelled", color: "soft" },
] as const;

interface RunsChartProps extends Pick<ChartProps, "format" | "unit"> {
  name: string;
  runs: Runs;
  valueOf: (run: Runs[number]) => number | null;
  usual: Usual | undefined;
  usualValue: "seconds" | "records";
}

/** A bar for each run, in the color of its status, and what is usual between two lines. A click opens the run. */
function RunsChart({ name, runs, valueOf, usual, usualValue, format, unit }: RunsChartProps) {
  const navigate = useNavigate();
  const series = STATUSES.filter(({ status }) => runs.some((run) => run.status === status)).map(
    ({ status, color }) => ({
      label: STATUS_WORDS[status],
      color,
      kind: "bars" as const,
      values: runs.map((run) => (run.status === status ? valueOf(run) : null)),
    }),
  );
  const times = runs.map(({ created_at }) => created_at);
  const lines = usualLines(usual, usualValue, times);
  const title = `${name} of the last ${runs.length === 1 ? "run" : countWithNoun(runs.length, "run")}`;
  return (
    <Chart
      title={lines.length > 0 ? `${title}, usual between the lines` : title}
      times={times}
      series={[...series, ...lines]}
      format={format}
      unit={unit}
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

const FRESHNESS = [
  { state: "fresh", color: "good" },
  { state: "late", color: "wait" },
  { state: "failing", color: "bad" },
] as const;

/** Units of ages: the largest that is at most half of the greatest age, so that the axis has round numbers. */
const UNITS: [seconds: number, unit: string][] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** How old the data was when each run ended and how old it is now, in the color of its freshness, and when it is late. */
function FreshnessChart({ freshness }: { freshness: NonNullable<PipelineStatistics["freshness"]> }) {
  const { points, fresh_share } = freshness;
  const greatest = Math.max(
    ...points.flatMap(({ age_seconds, late_after_seconds }) => [age_seconds ?? 0, late_after_seconds ?? 0]),
  );
  const [size, unit] = UNITS.find(([seconds]) => greatest >= 2 * seconds) ?? UNITS.at(-1)!;
  const inUnits = (seconds: number | null) => (seconds === null ? null : seconds / size);
  const series = FRESHNESS.filter(({ state }) => points.some((point) => point.freshness === state)).map(
    ({ state, color }) => ({
      label: FRESHNESS_WORDS[state],
      color,
      kind: "bars" as const,
      values: points.map((point) => (point.freshness === state ? inUnits(point.age_seconds) : null)),
    }),
  );
  const limit = {
    label: "Late after",
    color: "soft" as const,
    kind: "line" as const,
    values: points.map(({ late_after_seconds }) => inUnits(late_after_seconds)),
  };
  const share = fresh_share === null ? "" : `: fresh ${Math.floor(fresh_share * 100)}% of the time`;
  return (
    <Chart
      title={`Age of the data, late above the line${share}`}
      times={points.map(({ at }) => at)}
      series={[...series, limit]}
      format={(value) => withUnit(String(Math.round(value * 10) / 10), unit)}
      height={CHART_HEIGHT}
    />
  );
}
