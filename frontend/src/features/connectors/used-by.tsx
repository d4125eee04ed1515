import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Connector, PipelineRow } from "@/api/types";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { liveKindInWords } from "@/api/run-status";
import { StatusBadge } from "@/components/status";
import { Name } from "@/components/name";
import { formatCount } from "@/format/number";
import { useCanCreatePipelines } from "@/session/use-session";
import { MAX_SHOWN_PIPELINES, pipelinesOfConnectorQuery } from "./queries";

/** The pipelines that use the connector. */
export function UsedBy({ connector }: { connector: Connector }) {
  const canCreate = useCanCreatePipelines();
  const { data, error, refetch } = useQuery(pipelinesOfConnectorQuery(connector.id));
  return (
    <section aria-labelledby="used-by-title" className="card p-4">
      <h2 id="used-by-title" className="mb-2 font-semibold">
        Used by{" "}
        {data && data.results.length > 0 && (
          <span className="font-normal text-faint tabular-nums">{formatCount(data.count)}</span>
        )}
      </h2>
      {error && !data && <ErrorNotice error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons rows={2} />}
      {data?.results.length === 0 && (
        <p className="text-[0.8125rem] text-soft">
          No pipeline uses it yet.{" "}
          {canCreate && (
            <>
              Choose it as the {connector.role} of a{" "}
              <Link to="/pipelines/new" className="underline">
                new pipeline
              </Link>
              .
            </>
          )}
        </p>
      )}
      {data && data.results.length > 0 && <PipelineList pipelines={data.results} count={data.count} />}
    </section>
  );
}

function PipelineList({ pipelines, count }: { pipelines: PipelineRow[]; count: number }) {
  return (
    <>
      <ul className="grid gap-1.5 text-[0.8125rem]">
        {pipelines.map(({ id, name, last_run }) => (
          <li key={id} className="flex items-center gap-2">
            <Link
              to="/pipelines/$pipelineId"
              params={{ pipelineId: id }}
              className="mr-auto min-w-0 wrap-anywhere hover:underline"
            >
              <Name>{name}</Name>
            </Link>
            {last_run && (
              <StatusBadge status={last_run.status} label={liveKindInWords(last_run)} className="shrink-0" />
            )}
          </li>
        ))}
      </ul>
      {count > MAX_SHOWN_PIPELINES && (
        <p className="mt-2 text-[0.8125rem] text-faint">
          and {formatCount(count - MAX_SHOWN_PIPELINES)} more
        </p>
      )}
    </>
  );
}
