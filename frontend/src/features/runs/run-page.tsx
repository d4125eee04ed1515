import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { StreamState } from "@/live/event-stream";
import { dataIfFound, pollUntilDeleted } from "@/api/problem";
import { isLive } from "@/api/run-status";
import type { Run } from "@/api/types";
import { WhoIsTold } from "@/components/alerts/who-is-told";
import { Button } from "@/components/button";
import { ClockIcon, RetryIcon } from "@/components/icons";
import { ItemId } from "@/components/item-id";
import { NetworkTable } from "@/components/network-table";
import { OutputsCard } from "@/components/outputs-card";
import { PageTitle, usePageTitle } from "@/components/page";
import { Name } from "@/components/name";
import { StartedBy } from "@/components/started-by";
import { StatusBadge } from "@/components/status";
import { showError } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { WaitingReason } from "@/components/waiting-reason";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { ItemPlaceholder } from "@/components/error-pages";
import { formatDuration, secondsBetween } from "@/format/duration";
import { nameInWords } from "@/format/name";
import { formatCount } from "@/format/number";
import { CompareLink } from "./comparison/compare-link";
import { CancelButton } from "./cancel-button";
import { FailureCard } from "./repair/failure-card";
import { FailureNotice } from "./repair/failure-notice";
import { LeftOutCard } from "./left-out/left-out-card";
import { useLiveRun } from "./live-run";
import { LogPanel } from "./log-panel";
import { ProgressCard } from "./progress-card";
import { runQuery, useRetryRun } from "./queries";
import { RecordsCard } from "./records-card";
import { SourceChangesCard } from "./source-changes-card";
import { StreamsCard } from "./streams-card";

export function RunPage() {
  const { runId } = useParams({ from: "/app/runs/$runId" });
  return <LiveRun key={runId} runId={runId} />; // the key creates a new component, and so a new log, for each run
}

function LiveRun({ runId }: { runId: string }) {
  const { data, error, refetch } = useQuery({
    ...runQuery(runId),
    // A live run is followed, and cannot be deleted.
    refetchInterval: (query) =>
      query.state.data && isLive(query.state.data.status) ? false : pollUntilDeleted(query),
  });
  const run = dataIfFound(data, error);
  const live = run !== undefined && isLive(run.status);
  // The failure of a run that is watched is shown where nothing moves, until somebody wants to read more.
  const [isFailureShort, setFailureShort] = useState(false);
  if (live && !isFailureShort) setFailureShort(true);
  const failure = run && !live && run.status !== "cancelled" ? run.failure : null;
  const hasPermission = useHasPermission();
  const mayLook = hasPermission("data.view", run?.domain_id);
  const mayEditAlerts = hasPermission("alerts.edit", run?.domain_id);
  const hasLeftOut = run !== undefined && run.progress.rejected + run.progress.skipped > 0;
  const canRun = useCanRun(run);
  const { feed, streamState } = useLiveRun(runId, live);
  usePageTitle(run ? `Run of ${run.pipeline.name}` : "Run");
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      {!run && (
        <ItemPlaceholder
          item="run"
          error={error}
          retry={() => void refetch()}
          wasShown={data !== undefined}
        />
      )}
      {run && (
        <>
          <Header run={run} />
          <p role="status" className="sr-only">
            Status: {run.status}.
          </p>
          <div className="grid gap-4 @5xl/page:grid-cols-[1fr_20rem]">
            <div className="grid min-w-0 content-start gap-4">
              <ProgressCard run={run} />
              {failure && !isFailureShort && (
                <FailureCard run={run} failure={failure}>
                  {canRun && failure.retryable && <RetryButton run={run} size="small" />}
                </FailureCard>
              )}
              {live && <LiveConnectionNotice state={streamState} />}
              {run.streams_total > 1 && (live || run.attempt > 0) && <StreamsCard run={run} />}
              {/* They have the same height, so that nothing moves when the run starts or fails. */}
              {run.status === "pending" ? (
                <WaitingCard run={run} />
              ) : failure && isFailureShort ? (
                <FailureNotice failure={failure} onExpand={() => setFailureShort(false)} />
              ) : (
                <RecordsCard run={run} />
              )}
              <SourceChangesCard run={run} />
              {hasLeftOut && <LeftOutCard run={run} />}
              <LogPanel run={run} feed={feed} />
              {!hasLeftOut && <LeftOutCard run={run} />}
            </div>
            <aside aria-label="About this run" className="grid min-w-0 content-start gap-4">
              <RunDetails run={run} />
              <Network run={run} />
              <Attempts run={run} />
              {/* Last, because their height is not known before they are loaded. */}
              {!live && <OutputsCard runId={run.id} mayDownload={mayLook} />}
              {run.status === "failed" && mayEditAlerts && <WhoIsTold pipelineId={run.pipeline.id} />}
            </aside>
          </div>
        </>
      )}
    </div>
  );
}

/** Whether the user may retry the run now. */
function useCanRun(run: Run | undefined): boolean {
  const hasPermission = useHasPermission();
  return useReadOnlyReason() === null && hasPermission("pipelines.run", run?.domain_id);
}

function Header({ run }: { run: Run }) {
  const canCancel = useHasPermission()("runs.cancel", run.domain_id);
  const canRun = useCanRun(run);
  return (
    <div className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
      <div className="mr-auto min-w-0">
        <nav aria-label="Breadcrumb" className="text-[0.8125rem] wrap-anywhere text-faint">
          <Link to="/pipelines" className="hover:underline">
            Pipelines
          </Link>{" "}
          /{" "}
          <Link
            to="/pipelines/$pipelineId"
            params={{ pipelineId: run.pipeline.id }}
            className="hover:underline"
          >
            <bdi>{run.pipeline.name}</bdi>
          </Link>
        </nav>
        <PageTitle className="flex flex-wrap items-center gap-x-3">
          <span>
            Run <RelativeTime time={run.created_at} />
          </span>
          <StatusBadge status={run.status} className="tracking-normal" />
        </PageTitle>
      </div>
      {/* On a phone it has a line of its own, which stays when the run ends and its buttons change. */}
      <div className="flex min-h-9 flex-wrap items-center gap-2 max-sm:w-full">
        {!isLive(run.status) && <CompareLink run={run} />}
        {canCancel && isLive(run.status) && <CancelButton run={run} />}
        {canRun && (run.status === "failed" || run.status === "cancelled") && <RetryButton run={run} />}
      </div>
    </div>
  );
}

function RetryButton({ run, size }: { run: Run; size?: "small" }) {
  const retry = useRetryRun(run.id);
  const navigate = useNavigate();
  return (
    <Button
      look={size ? "plain" : "primary"}
      size={size}
      disabledReason={retry.isPending ? "Starting" : null}
      onClick={() =>
        retry.mutate(undefined, {
          onSuccess: ({ id }) => void navigate({ to: "/runs/$runId", params: { runId: id } }),
          onError: (error) => showError(error),
        })
      }
    >
      <RetryIcon className="-ml-0.5" />
      Retry
    </Button>
  );
}

function WaitingCard({ run }: { run: Run }) {
  const lastAttempt = run.attempts?.at(-1);
  return (
    <section
      aria-label="Why the run is waiting"
      className="flex min-h-18.5 gap-3 rounded-card border border-line bg-wait-wash px-4 py-3"
    >
      <ClockIcon className="mt-0.5 shrink-0 text-wait" />
      <div>
        <p className="font-medium first-letter:uppercase">
          <WaitingReason run={run} />
        </p>
        {!run.not_before && run.place_in_line != null && (
          <p className="text-soft">Position in the queue: {formatCount(run.place_in_line)}</p>
        )}
        {lastAttempt?.failure && (
          <p className="text-soft">
            Attempt {lastAttempt.number} failed: {lastAttempt.failure.message}
          </p>
        )}
      </div>
    </section>
  );
}

function LiveConnectionNotice({ state }: { state: StreamState }) {
  if (state !== "waiting") return null;
  return (
    <p role="status" className="rounded-card border border-line bg-wait-wash px-4 py-2">
      The live connection was lost. It reconnects automatically, and no log lines are lost.
    </p>
  );
}

function RunDetails({ run }: { run: Run }) {
  return (
    <section aria-labelledby="facts-title" className="card p-4">
      <h2 id="facts-title" className="mb-2 font-semibold">
        Details
      </h2>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[0.8125rem]">
        <dt className="whitespace-nowrap text-faint">Started by</dt>
        <dd>
          <StartedBy run={run} />
        </dd>
        {run.trigger === "replay" && <ReplayedRun run={run} />}
        {run.trigger === "dependency" && <UpstreamRuns run={run} />}
        <dt className="text-faint">Created</dt>
        <dd>
          <RelativeTime time={run.created_at} />
        </dd>
        <dt className="text-faint">Started</dt>
        <dd>
          <RelativeTime time={run.started_at} />
        </dd>
        <dt className="text-faint">Finished</dt>
        <dd>
          <RelativeTime time={run.finished_at} />
        </dd>
        <dt className="text-faint">Attempt</dt>
        <dd>{run.attempt || "–"}</dd>
        <dt className="text-faint">ID</dt>
        <dd className="min-w-0">
          <ItemId id={run.id} path={`/runs/${run.id}`} />
        </dd>
      </dl>
    </section>
  );
}

/** Whose rejected records the run sends again. */
function ReplayedRun({ run }: { run: Run }) {
  return (
    <>
      <dt className="text-faint">Sends again</dt>
      <dd>
        {run.replay_of ? (
          <Link to="/runs/$runId" params={{ runId: run.replay_of }} className="link">
            Rejected records of a run
          </Link>
        ) : (
          "Rejected records of a run that was removed"
        )}
      </dd>
    </>
  );
}

/** The runs of other pipelines after which this run has started. Events of an older release have no list of them. */
function UpstreamRuns({ run }: { run: Run }) {
  return (
    <>
      <dt className="text-faint">After</dt>
      <dd className="grid gap-0.5">
        {(run.upstream_runs ?? []).map(({ run_id }) => (
          <UpstreamRun key={run_id} id={run_id} />
        ))}
      </dd>
    </>
  );
}

function UpstreamRun({ id }: { id: string }) {
  const { data, isError } = useQuery(runQuery(id));
  if (isError) return <span>A run that was removed</span>;
  return (
    <Link to="/runs/$runId" params={{ runId: id }} className="link">
      <Name>{data ? data.pipeline.name : "Another pipeline"}</Name>
    </Link>
  );
}

/** The network connections of the latest attempt. */
function Network({ run }: { run: Run }) {
  const hosts = run.attempts?.at(-1)?.network ?? [];
  if (hosts.length === 0) return null;
  return (
    <section aria-labelledby="network-title" className="card p-4">
      <h2 id="network-title" className="mb-2 font-semibold">
        Network
      </h2>
      <NetworkTable hosts={hosts} />
    </section>
  );
}

function Attempts({ run }: { run: Run }) {
  const attempts = run.attempts ?? [];
  if (attempts.length < 2) return null;
  return (
    <section aria-labelledby="attempts-title" className="card p-4">
      <h2 id="attempts-title" className="mb-2 font-semibold">
        Attempts
      </h2>
      <ol className="grid gap-2 text-[0.8125rem]">
        {attempts.map((attempt) => (
          <li key={attempt.number} className="grid grid-cols-[1.5rem_1fr]">
            <span className="text-faint tabular-nums">{attempt.number}</span>
            <span>
              {attempt.status || "running"}
              <AttemptDuration attempt={attempt} />, <RelativeTime time={attempt.started_at} />
              {attempt.failure && (
                <span className="block wrap-anywhere text-soft first-letter:uppercase">
                  <span className="font-medium">{nameInWords(attempt.failure.class)}:</span>{" "}
                  {attempt.failure.message}
                </span>
              )}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function AttemptDuration({ attempt: { started_at, finished_at } }: { attempt: Run["attempts"][number] }) {
  if (finished_at === null) return null;
  return <> after {formatDuration(secondsBetween(started_at, finished_at, 0))}</>;
}
