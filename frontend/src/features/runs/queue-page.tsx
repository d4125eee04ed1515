import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Queue, RunRow } from "@/api/types";
import { Name } from "@/components/name";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { StartedBy } from "@/components/started-by";
import { WaitingReason } from "@/components/waiting-reason";
import { countWithNoun, formatCount } from "@/format/number";
import { useOrgEvents } from "@/live/org-events";
import { useHasPermission } from "@/session/use-session";
import { CancelButton } from "./cancel-button";
import { queueQuery } from "./queries";

/** What runs now, which runs wait, in which order and why. */
export function QueuePage() {
  useOrgEvents();
  const { data: queue, error, refetch } = useQuery(queueQuery);
  return (
    <div className="mx-auto grid max-w-[100rem] gap-4 px-4 py-5 md:px-6">
      <div className="-mb-4">
        <PageHeader title="Queue" count={queue?.waiting} />
      </div>
      {!queue && error && <ErrorNotice error={error} retry={() => void refetch()} />}
      {!queue && !error && <Skeletons />}
      {queue && (
        <>
          <Figures queue={queue} />
          <RunList
            title="Running"
            empty="No run is running."
            runs={queue.running_runs}
            total={queue.running}
            status="running"
            detailsOf={(run) => (
              <>
                since <RelativeTime time={run.started_at} />, attempt {run.attempt},{" "}
                {countWithNoun(run.progress.read, "record")} read
              </>
            )}
          />
          <RunList
            title="Waiting"
            empty="No run is waiting."
            runs={queue.waiting_runs}
            total={queue.waiting}
            status="pending"
            detailsOf={(run) => <WaitingReason run={run} />}
          />
        </>
      )}
    </div>
  );
}

function Figures({ queue }: { queue: Queue }) {
  const { running, max_running, waiting, waiting_since, workers, has_worker } = queue;
  return (
    <>
      {!has_worker && (
        <p role="status" className="card p-4 text-bad">
          No worker is alive, so no run starts. Ask the operator of this installation to start one.
        </p>
      )}
      <dl className="card grid gap-3 p-4 sm:grid-cols-3">
        <Figure label="Running">
          {formatCount(running)} of {formatCount(max_running)} that the organization may run at once
          {workers > 0 && `, in ${countWithNoun(workers, "worker")}`}
        </Figure>
        <Figure label="Waiting">{formatCount(waiting)}</Figure>
        <Figure label="Oldest run that is due">
          <RelativeTime time={waiting_since} fallback="None" />
        </Figure>
      </dl>
    </>
  );
}

function Figure({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-[0.8125rem] text-faint">{label}</dt>
      <dd className="tabular-nums">{children}</dd>
    </div>
  );
}

interface ListProps {
  title: string;
  empty: string;
  runs: RunRow[];
  total: number;
  status: "running" | "pending";
  detailsOf: (run: RunRow) => ReactNode;
}

function RunList({ title, empty, runs, total, status, detailsOf }: ListProps) {
  const hasPermission = useHasPermission();
  const id = `queue-${status}`;
  return (
    <section aria-labelledby={id} className="card min-w-0 overflow-hidden">
      <h2 id={id} className="border-b border-line px-4 py-2.5 font-semibold">
        {title} <span className="font-normal text-faint tabular-nums">{total > 0 && formatCount(total)}</span>
      </h2>
      {runs.length === 0 && <p className="px-4 py-2.5 text-soft">{empty}</p>}
      <ol className="divide-y divide-line">
        {runs.map((run) => (
          <li key={run.id} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2">
            {run.place_in_line !== null && (
              <span className="w-8 shrink-0 text-right text-faint tabular-nums" title="Place in the queue">
                {run.place_in_line}
              </span>
            )}
            <span className="min-w-0 flex-1 basis-48">
              <Link
                to="/runs/$runId"
                params={{ runId: run.id }}
                className="block font-medium hover:underline"
              >
                <Name cut>{run.pipeline.name}</Name>
              </Link>
              <span className="block text-[0.8125rem] text-soft first-letter:uppercase">
                {detailsOf(run)}
              </span>
            </span>
            <span className="max-w-48 truncate text-[0.8125rem] text-soft max-sm:hidden">
              <StartedBy run={run} />
            </span>
            <span className="text-xs text-faint">
              created <RelativeTime time={run.created_at} />
            </span>
            {hasPermission("runs.cancel", run.domain_id) && <CancelButton run={run} isSmall />}
          </li>
        ))}
      </ol>
      {total > runs.length && (
        <p className="border-t border-line px-4 py-2.5 text-soft">
          The first {formatCount(runs.length)} are shown.{" "}
          <Link
            to="/runs"
            search={{ status, order: "created_at" }}
            className="font-medium text-ink hover:underline"
          >
            All in the list of runs
          </Link>
        </p>
      )}
    </section>
  );
}
