import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Switch } from "radix-ui";
import { dataIfFound } from "@/api/problem";
import { runsQuery } from "@/api/runs";
import type { Pipeline } from "@/api/types";
import { EmptyState, ErrorNotice, Skeletons, WarningNotices } from "@/components/notice";
import { usePageTitle } from "@/components/page";
import { showError } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { RunsTable } from "@/components/runs-table";
import { useHasPermission } from "@/session/use-session";
import { LoadErrorPage } from "@/components/error-pages";
import { useOrgEvents } from "@/live/org-events";
import { scheduleInWords } from "@/format/schedule";
import { LimitsCard } from "./limits-card";
import { pipelineQuery, useSetEnabled, versionsQuery } from "./queries";
import { PausedBadge, RouteLine, streamsInWords, Tag } from "./route-line";
import { RunButton } from "./run-button";
import { TransformCard } from "./transform-card";

const RECENT_RUN_LIMIT = 20;

export function PipelinePage() {
  const { pipelineId } = useParams({ from: "/app/pipelines/$pipelineId" });
  useOrgEvents();
  const hasPermission = useHasPermission();
  const { data, error, refetch } = useQuery(pipelineQuery(pipelineId));
  const pipeline = dataIfFound(data, error);
  usePageTitle(pipeline?.name ?? "Pipeline");
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      {error && !pipeline && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!pipeline && !error && <Skeletons />}
      {pipeline && (
        <>
          <Header pipeline={pipeline} />
          <WarningNotices warnings={pipeline.warnings} />
          <div className="grid gap-4 @5xl/page:grid-cols-[1fr_20rem]">
            <div className="grid min-w-0 content-start gap-4">
              <RecentRuns pipelineId={pipelineId} />
              <TransformCard
                key={pipeline.version}
                pipeline={pipeline}
                canEdit={hasPermission("pipelines.edit", pipeline.domain?.id)}
              />
            </div>
            <aside aria-label="About this pipeline" className="grid content-start gap-4">
              <PipelineDetails pipeline={pipeline} />
              <LimitsCard
                key={pipeline.version}
                pipeline={pipeline}
                canEdit={hasPermission("pipelines.edit", pipeline.domain?.id)}
              />
              <Versions pipelineId={pipelineId} />
            </aside>
          </div>
        </>
      )}
    </div>
  );
}

function Header({ pipeline }: { pipeline: Pipeline }) {
  const hasPermission = useHasPermission();
  const canEdit = hasPermission("pipelines.edit", pipeline.domain?.id);
  const canRun = hasPermission("pipelines.run", pipeline.domain?.id);
  const navigate = useNavigate();
  return (
    <div className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
      <div className="mr-auto min-w-0">
        <nav aria-label="Breadcrumb" className="text-[0.8125rem] text-faint">
          <Link to="/pipelines" className="hover:underline">
            Pipelines
          </Link>
        </nav>
        <h1 className="text-xl font-semibold tracking-tight break-words">{pipeline.name}</h1>
        <RouteLine
          source={pipeline.source_kind}
          destination={pipeline.destination_kind}
          stream={streamsInWords(pipeline)}
        />
      </div>
      {canEdit && <EnabledSwitch pipeline={pipeline} />}
      {canRun && (
        <RunButton
          pipeline={pipeline}
          look="primary"
          onStarted={(runId) => void navigate({ to: "/runs/$runId", params: { runId } })}
        />
      )}
    </div>
  );
}

function EnabledSwitch({ pipeline }: { pipeline: Pipeline }) {
  const setEnabled = useSetEnabled(pipeline.id);
  return (
    <label className="flex items-center gap-2 text-soft">
      <Switch.Root
        checked={pipeline.enabled}
        onCheckedChange={(enabled) => setEnabled.mutate(enabled, { onError: (error) => showError(error) })}
        className="h-5 w-9 rounded-full bg-line-strong p-0.5 transition-colors data-[state=checked]:bg-good"
      >
        <Switch.Thumb className="block size-4 rounded-full bg-white transition-transform data-[state=checked]:translate-x-4" />
      </Switch.Root>
      Enabled
    </label>
  );
}

function RecentRuns({ pipelineId }: { pipelineId: string }) {
  const query = useInfiniteQuery(runsQuery({ pipeline: pipelineId }, RECENT_RUN_LIMIT));
  const runs = query.data?.pages.flatMap((page) => page.results) ?? [];
  return (
    <section aria-labelledby="runs-title" className="card @container min-w-0 self-start overflow-x-auto">
      <h2 id="runs-title" className="px-3 pt-3 pb-1 font-semibold">
        Recent runs
      </h2>
      {query.isPending && <Skeletons rows={4} />}
      {query.isError && runs.length === 0 && (
        <ErrorNotice error={query.error} retry={() => void query.refetch()} />
      )}
      {runs.length > 0 && <RunsTable runs={runs} />}
      {query.isSuccess && runs.length === 0 && (
        <EmptyState title="No runs yet">
          Click Run, or wait for the schedule. Each run will be listed here with its records and its duration.
        </EmptyState>
      )}
    </section>
  );
}

function PipelineDetails({ pipeline }: { pipeline: Pipeline }) {
  return (
    <section aria-labelledby="about-title" className="card p-4">
      <h2 id="about-title" className="mb-2 font-semibold">
        About
      </h2>
      {pipeline.description && <p className="mb-2 text-soft">{pipeline.description}</p>}
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[0.8125rem]">
        <dt className="text-faint">Schedule</dt>
        <dd>
          {scheduleInWords(pipeline.schedule)}
          <PausedBadge schedule={pipeline.schedule} />
        </dd>
        <dt className="text-faint">Next run</dt>
        <dd>
          <RelativeTime time={pipeline.enabled ? pipeline.next_run_at : null} />
        </dd>
        <dt className="text-faint">Domain</dt>
        <dd>{pipeline.domain?.name ?? "–"}</dd>
        <dt className="text-faint">Tags</dt>
        <dd className="flex flex-wrap gap-1">
          {pipeline.tags.length === 0 ? "–" : pipeline.tags.map((tag) => <Tag key={tag}>{tag}</Tag>)}
        </dd>
      </dl>
    </section>
  );
}

function Versions({ pipelineId }: { pipelineId: string }) {
  const { data } = useQuery(versionsQuery(pipelineId));
  if (!data || data.results.length === 0) return null;
  return (
    <section aria-labelledby="versions-title" className="card p-4">
      <h2 id="versions-title" className="mb-2 font-semibold">
        Versions
      </h2>
      <ol className="grid gap-1.5 text-[0.8125rem]">
        {data.results.map((version) => (
          <li key={version.number} className="flex gap-2">
            <span className="w-8 text-faint tabular-nums">v{version.number}</span>
            <span className="min-w-0 flex-1 truncate">{version.note || version.created_by?.name}</span>
            <span className="text-soft">
              <RelativeTime time={version.created_at} />
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
