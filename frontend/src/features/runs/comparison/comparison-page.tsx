import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { dataIfFound } from "@/api/problem";
import type { RunComparison, RunRow } from "@/api/types";
import { ChangeCard } from "@/components/change-card";
import { ItemPlaceholder } from "@/components/error-pages";
import { PageTitle, usePageTitle } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { isMaskedSecret } from "@/components/schema-form/schema";
import { StatusBadge } from "@/components/status";
import { formatDuration } from "@/format/duration";
import { formatBytes, formatCount, countWithNoun } from "@/format/number";
import { ComparedStreams } from "./compared-streams";
import { Difference } from "./difference";
import { OtherRunPicker } from "./other-run-picker";
import { comparisonQuery } from "./queries";

/** A run beside another run of its pipeline: what differs in settings, counts, durations and logs. */
export function ComparisonPage() {
  const { runId, otherId } = useParams({ from: "/app/runs/$runId/compare/$otherId" });
  const { data, error, refetch } = useQuery(comparisonQuery(runId, otherId));
  const comparison = dataIfFound(data, error);
  usePageTitle(comparison ? `Comparison of runs of ${comparison.run.pipeline.name}` : "Comparison of runs");
  return (
    <div className="mx-auto max-w-[80rem] px-4 py-5 md:px-6">
      {!comparison && (
        <ItemPlaceholder
          item="comparison"
          error={error}
          retry={() => void refetch()}
          wasShown={data !== undefined}
        />
      )}
      {comparison && <Content comparison={comparison} />}
    </div>
  );
}

function Content({ comparison }: { comparison: RunComparison }) {
  const { run, other } = comparison;
  return (
    <>
      <div className="mb-4 flex flex-wrap items-end gap-x-3 gap-y-2">
        <div className="mr-auto min-w-0">
          <nav aria-label="Breadcrumb" className="text-[0.8125rem] wrap-anywhere text-faint">
            <Link
              to="/pipelines/$pipelineId"
              params={{ pipelineId: run.pipeline.id }}
              className="hover:underline"
            >
              <bdi>{run.pipeline.name}</bdi>
            </Link>{" "}
            /{" "}
            <Link to="/runs/$runId" params={{ runId: run.id }} className="hover:underline">
              Run <RelativeTime time={run.created_at} />
            </Link>
          </nav>
          <PageTitle>Compare runs</PageTitle>
        </div>
        <OtherRunPicker run={run} other={other} />
      </div>
      <div className="grid gap-4">
        <Figures run={run} other={other} />
        <Settings comparison={comparison} />
        {comparison.streams.length > 0 && <ComparedStreams comparison={comparison} />}
        <div className="grid gap-4 @3xl/page:grid-cols-2">
          <OwnMessages title="Only in the log of this run" runId={run.id} lines={comparison.only_in_run} />
          <OwnMessages
            title="Only in the log of the other run"
            runId={other.id}
            lines={comparison.only_in_other}
          />
        </div>
      </div>
    </>
  );
}

const FIGURES: {
  name: string;
  valueOf: (run: RunRow) => number | null;
  format: (value: number) => string;
}[] = [
  { name: "Read", valueOf: ({ progress }) => progress.read, format: formatCount },
  { name: "Written", valueOf: ({ progress }) => progress.written, format: formatCount },
  { name: "Rejected", valueOf: ({ progress }) => progress.rejected, format: formatCount },
  { name: "Skipped", valueOf: ({ progress }) => progress.skipped, format: formatCount },
  { name: "Volume", valueOf: ({ progress }) => progress.bytes, format: formatBytes },
  { name: "Duration", valueOf: ({ duration_seconds }) => duration_seconds, format: formatDuration },
  { name: "Attempts", valueOf: ({ attempt }) => attempt, format: formatCount },
];

function Figures({ run, other }: { run: RunRow; other: RunRow }) {
  return (
    <section aria-labelledby="figures-title" className="card min-w-0 overflow-x-auto p-4">
      <h2 id="figures-title" className="mb-2 font-semibold">
        Figures
      </h2>
      <table className="w-full text-[0.8125rem]">
        <thead className="text-left text-soft">
          <tr>
            <th scope="col" className="py-1.5 pr-3 font-medium">
              <span className="sr-only">Figure</span>
            </th>
            <RunHead name="This run" run={run} />
            <RunHead name="Other run" run={other} />
            <th scope="col" className="py-1.5 text-right align-top font-medium max-sm:hidden">
              Difference
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          <Row name="Version" values={[run.version, other.version].map(String)}>
            {run.version === other.version ? "–" : "Changed"}
          </Row>
          {FIGURES.map(({ name, valueOf, format }) => {
            const values = [valueOf(run), valueOf(other)] as const;
            return (
              <Row
                key={name}
                name={name}
                values={values.map((value) => (value === null ? "–" : format(value)))}
              >
                <Difference value={values[0]} other={values[1]} format={format} />
              </Row>
            );
          })}
        </tbody>
      </table>
      {run.failure && (
        <p className="mt-3 wrap-anywhere text-bad first-letter:uppercase">{run.failure.message}</p>
      )}
    </section>
  );
}

function RunHead({ name, run }: { name: string; run: RunRow }) {
  return (
    <th scope="col" className="py-1.5 pr-3 text-right font-medium">
      <Link to="/runs/$runId" params={{ runId: run.id }} className="link">
        {name}
      </Link>
      <span className="mt-1 flex flex-wrap items-center justify-end gap-x-2 gap-y-1 font-normal">
        <RelativeTime time={run.created_at} />
        <StatusBadge status={run.status} />
      </span>
    </th>
  );
}

function Row({ name, values, children }: { name: string; values: string[]; children: ReactNode }) {
  return (
    <tr>
      <th scope="row" className="py-1.5 pr-3 text-left font-normal text-soft">
        {name}
      </th>
      {values.map((value, index) => (
        <td key={index} className="py-1.5 pr-3 text-right whitespace-nowrap tabular-nums">
          {value}
        </td>
      ))}
      <td className="py-1.5 text-right whitespace-nowrap tabular-nums max-sm:hidden">{children}</td>
    </tr>
  );
}

const NOTHING: never[] = [];

function Settings({ comparison: { run, other, changes } }: { comparison: RunComparison }) {
  const shown = changes.map((change) => ({
    ...change,
    before: change.secret ? secretInWords(change.before) : change.before,
    after: change.secret ? secretInWords(change.after) : change.after,
  }));
  return (
    <section aria-labelledby="settings-title" className="card min-w-0 p-4">
      <h2 id="settings-title" className="mb-2 font-semibold">
        Settings
      </h2>
      {shown.length === 0 ? (
        <p className="text-soft">Both runs had the same settings (version {run.version}).</p>
      ) : (
        <>
          <p className="mb-2 text-soft">
            From version {other.version} of the other run to version {run.version} of this run
          </p>
          <ChangeCard facts={NOTHING} changes={shown} warnings={NOTHING} />
        </>
      )}
    </section>
  );
}

function secretInWords(value: unknown): unknown {
  if (!isMaskedSecret(value)) return value;
  if (!value.set) return "Not set";
  return value.last4 ? `Set, ends in ${value.last4}` : "Set";
}

function OwnMessages({
  title,
  runId,
  lines,
}: {
  title: string;
  runId: string;
  lines: RunComparison["only_in_run"];
}) {
  const id = title.toLowerCase().replaceAll(" ", "-");
  return (
    <section aria-labelledby={id} className="card min-w-0 p-4">
      <h2 id={id} className="mb-2 font-semibold">
        {title} <span className="font-normal text-faint">{countWithNoun(lines.length, "message")}</span>
      </h2>
      {lines.length === 0 ? (
        <p className="text-soft">No message, apart from times, ids and numbers.</p>
      ) : (
        <ol className="grid gap-1 font-mono text-[0.78rem]">
          {lines.map(({ line, level, message }) => (
            <li key={line} className="grid grid-cols-[auto_1fr] gap-3">
              <Link
                to="/runs/$runId"
                params={{ runId }}
                search={{ line: line + 1 }}
                title="Open this line of the log"
                className="text-right text-faint hover:underline"
              >
                {line + 1}
              </Link>
              <span dir="auto" className={`wrap-anywhere whitespace-pre-wrap ${COLORS[level]}`}>
                {message}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

const COLORS = { debug: "text-faint", info: "", warning: "text-wait", error: "text-bad" };
