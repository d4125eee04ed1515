import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { isLive, isOnlyStaged, STAGED_TITLE } from "@/api/run-status";
import type { RunRow } from "@/api/types";
import { formatDuration, secondsBetween } from "@/format/duration";
import { formatCount, countWithNoun } from "@/format/number";
import { classNames } from "./class-names";
import { useNow } from "./clock";
import { StartedBy } from "./started-by";
import { StatusBadge } from "./status";
import { RelativeTime } from "./relative-time";
import { WaitingReason } from "./waiting-reason";
import { Name } from "./name";

interface Props {
  runs: RunRow[];
  withPipeline?: boolean;
  /** Replaces the header of the time of creation. */
  createdHeader?: ReactNode;
}

export function RunsTable({ runs, withPipeline = false, createdHeader }: Props) {
  // On narrow screens these columns are hidden, and the cell of the pipeline shows them in a second line.
  const wideOnlyClass = withPipeline ? "hidden @lg:table-cell" : undefined;
  return (
    <table className="table w-full border-collapse">
      <thead>
        <tr>
          <th scope="col">Status</th>
          {withPipeline && <th scope="col">Pipeline</th>}
          {createdHeader ?? (
            <th scope="col" className={wideOnlyClass}>
              Created
            </th>
          )}
          <th scope="col" className="hidden @2xl:table-cell">
            Duration
          </th>
          <th scope="col" className={classNames("text-right!", wideOnlyClass)}>
            Records
          </th>
          <th scope="col" className="hidden @3xl:table-cell">
            Started by
          </th>
          <th scope="col" className="hidden @5xl:table-cell">
            {" "}
            Details
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td>
              <Link
                to="/runs/$runId"
                params={{ runId: run.id }}
                className="row-link inline-flex rounded-full"
              >
                <StatusBadge status={run.status} />
                <span className="sr-only">, open the run</span>
              </Link>
            </td>
            {withPipeline && (
              <td className="w-full max-w-0 @lg:w-2/5">
                <Link
                  to="/runs/$runId"
                  params={{ runId: run.id }}
                  className="block py-0.5 font-medium hover:underline"
                >
                  <Name cut>{run.pipeline.name}</Name>
                </Link>
                <p className="truncate text-[0.8125rem] text-soft @lg:hidden">
                  <RelativeTime time={run.created_at} />, {countWithNoun(run.progress.written, "record")}
                  {isOnlyStaged(run) && " staged"}
                </p>
              </td>
            )}
            <td className={classNames("text-soft", wideOnlyClass)}>
              <RelativeTime time={run.created_at} />
            </td>
            <td className="hidden whitespace-nowrap text-soft tabular-nums @2xl:table-cell">
              <RunDuration run={run} />
            </td>
            <td className={classNames("text-right tabular-nums", wideOnlyClass)}>
              <Written run={run} />
            </td>
            <td className="hidden max-w-48 text-soft @3xl:table-cell">
              <StartedBy run={run} />
            </td>
            <td className="hidden max-w-0 truncate text-soft @5xl:table-cell @5xl:w-1/3">
              {run.failure?.message ?? <WaitingReason run={run} />}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Written({ run }: { run: RunRow }) {
  if (!isOnlyStaged(run)) return formatCount(run.progress.written);
  return (
    <span className="text-faint @lg:whitespace-nowrap" title={STAGED_TITLE}>
      {formatCount(run.progress.written)} staged
    </span>
  );
}

function RunDuration({ run }: { run: RunRow }) {
  const now = useNow();
  if (!run.started_at) return "–";
  return formatDuration(secondsBetween(run.started_at, isLive(run.status) ? null : run.finished_at, now));
}
