import { Link } from "@tanstack/react-router";
import type { PipelineRow } from "@/api/types";
import { liveKindInWords } from "@/api/run-status";
import { classNames } from "@/components/class-names";
import { StatusBadge } from "@/components/status";
import { RelativeTime } from "@/components/relative-time";
import { useHasPermission } from "@/session/use-session";
import { formatCount, formatShortCount } from "@/format/number";
import { scheduleInWords } from "@/format/schedule";
import { PausedBadge, RouteLine, streamsInWords, Tag } from "./route-line";
import { RunButton } from "./run-button";

export function PipelinesTable({ rows }: { rows: PipelineRow[] }) {
  const hasPermission = useHasPermission();
  const canRun = rows.some((row) => hasPermission("pipelines.run", row.domain?.id));
  return (
    <table className="table w-full border-collapse">
      <thead>
        <tr>
          <th scope="col">Pipeline</th>
          <th scope="col" className="hidden @5xl:table-cell">
            Domain, tags
          </th>
          <th scope="col" className="hidden @2xl:table-cell">
            Schedule
          </th>
          <th scope="col" className="hidden @4xl:table-cell">
            Next run
          </th>
          <th scope="col" className="@max-md:px-1!">
            Last run
          </th>
          <th scope="col" className="hidden text-right! @2xl:table-cell">
            Records
          </th>
          {canRun && (
            <th scope="col">
              <span className="sr-only">Actions</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <Row
            key={row.id}
            row={row}
            showActions={canRun}
            canRun={hasPermission("pipelines.run", row.domain?.id)}
          />
        ))}
      </tbody>
    </table>
  );
}

function Row({ row, showActions, canRun }: { row: PipelineRow; showActions: boolean; canRun: boolean }) {
  return (
    <tr>
      <td className="w-1/2 max-w-0 @2xl:w-1/3">
        <div className={classNames("flex items-center font-medium", !row.enabled && "text-faint")}>
          <Link
            to="/pipelines/$pipelineId"
            params={{ pipelineId: row.id }}
            className="truncate py-1 hover:underline"
            title={row.name}
          >
            {row.name}
          </Link>
          {!row.enabled && <DisabledBadge />}
        </div>
        <RouteLine source={row.source_kind} destination={row.destination_kind} stream={streamsInWords(row)} />
      </td>
      <td className="hidden min-w-44 @5xl:table-cell">
        <div className="flex flex-wrap items-center gap-1">
          {row.domain && <span className="mr-1">{row.domain.name}</span>}
          {row.tags.map((tag) => (
            <Link
              key={tag}
              to="/pipelines"
              search={(current) => ({ ...current, tag })}
              title={`Only pipelines tagged ${tag}`}
            >
              <Tag>{tag}</Tag>
            </Link>
          ))}
        </div>
      </td>
      <td className="hidden min-w-36 text-soft @2xl:table-cell">
        {scheduleInWords(row.schedule)}
        <PausedBadge schedule={row.schedule} />
      </td>
      <td className="hidden text-soft @4xl:table-cell">
        <RelativeTime time={row.enabled ? row.next_run_at : null} />
      </td>
      <td className="whitespace-nowrap @max-md:px-1!">
        <LastRun row={row} />
      </td>
      <td className="hidden text-right tabular-nums @2xl:table-cell">
        {row.last_run?.records == null ? (
          <span className="text-faint">–</span>
        ) : (
          <span title={formatCount(row.last_run.records)}>{formatShortCount(row.last_run.records)}</span>
        )}
      </td>
      {showActions && (
        <td className="w-0 text-right @max-md:pl-1!">{canRun && <RunButton pipeline={row} />}</td>
      )}
    </tr>
  );
}

function DisabledBadge() {
  return (
    <span
      className="ml-2 shrink-0 rounded border border-line px-1.5 text-xs font-normal text-soft"
      title="This pipeline does not run on schedule and cannot be started until you enable it."
    >
      Disabled
    </span>
  );
}

function LastRun({ row }: { row: PipelineRow }) {
  const run = row.last_run;
  if (!run) return <span className="text-faint">Never ran</span>;
  if (!run.id) return <StatusBadge status={run.status} />; // just started; the server has not sent the id yet
  return (
    <Link
      to="/runs/$runId"
      params={{ runId: run.id }}
      className="inline-flex items-center gap-x-2 gap-y-0.5 rounded-full @max-5xl:flex-col @max-5xl:items-start"
    >
      <span className="sr-only">Last run of {row.name}:</span>
      <StatusBadge status={run.status} label={liveKindInWords(run)} />
      {run.finished_at && (
        <span className="text-[0.8125rem] text-soft">
          <RelativeTime time={run.finished_at} />
        </span>
      )}
    </Link>
  );
}
