import { Link } from "@tanstack/react-router";
import type { RunRow } from "@/api/types";
import { useNow } from "@/components/clock";
import { isLive, StatusBadge } from "@/components/status";
import { When } from "@/components/when";
import { duration, secondsBetween } from "@/format/duration";
import { count } from "@/format/number";

export function RunsTable({ runs, withPipeline = false }: { runs: RunRow[]; withPipeline?: boolean }) {
  return (
    <table className="table w-full border-collapse">
      <thead>
        <tr>
          <th scope="col">Status</th>
          {withPipeline && <th scope="col">Pipeline</th>}
          <th scope="col">Made</th>
          <th scope="col" className="hidden sm:table-cell">
            Duration
          </th>
          <th scope="col" className="text-right!">
            Records
          </th>
          <th scope="col" className="hidden md:table-cell">
            Started by
          </th>
          <th scope="col" className="hidden lg:table-cell">
            Note
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td>
              <Link to="/runs/$runId" params={{ runId: run.id }} className="inline-flex rounded-full">
                <StatusBadge status={run.status} />
                <span className="sr-only">, open the run</span>
              </Link>
            </td>
            {withPipeline && (
              <td className="w-2/5 max-w-0 min-w-32 truncate">
                <Link to="/runs/$runId" params={{ runId: run.id }} className="font-medium hover:underline">
                  {run.pipeline.name}
                </Link>
              </td>
            )}
            <td className="text-soft">
              <When at={run.created_at} />
            </td>
            <td className="hidden text-soft tabular-nums sm:table-cell">
              <RunDuration run={run} />
            </td>
            <td className="text-right tabular-nums">{count(run.progress.written)}</td>
            <td className="hidden max-w-48 truncate text-soft md:table-cell">
              {run.triggered_by ?? run.trigger}
            </td>
            <td className="hidden max-w-0 truncate text-soft lg:table-cell lg:w-1/3">
              {run.failure?.message ?? run.waiting_reason ?? ""}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RunDuration({ run }: { run: RunRow }) {
  const now = useNow();
  if (!run.started_at) return "–";
  return duration(secondsBetween(run.started_at, isLive(run.status) ? null : run.finished_at, now));
}
