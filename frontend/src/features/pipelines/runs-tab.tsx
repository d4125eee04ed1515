import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { runsQuery } from "@/api/runs";
import type { Pipeline } from "@/api/types";
import { WhoIsTold } from "@/components/alerts/who-is-told";
import { Button } from "@/components/button";
import { ItemId } from "@/components/item-id";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { RunsTable } from "@/components/runs-table";
import { scheduleInWords } from "@/format/schedule";
import { useHasPermission } from "@/session/use-session";
import { usePipelinePage } from "./page-context";
import { PausedBadge, Tag } from "./list/route-line";
import { PipelineCharts } from "./statistics/charts";

const PAGE_SIZE = 20;

export function RunsTab() {
  const { pipeline } = usePipelinePage();
  const mayEditAlerts = useHasPermission()("alerts.edit", pipeline.domain?.id);
  return (
    <div className="grid gap-4 @5xl/page:grid-cols-[1fr_20rem]">
      <div className="grid min-w-0 content-start gap-4">
        {pipeline.last_run && (
          <PipelineCharts
            pipelineId={pipeline.id}
            isFailing={isFailing(pipeline)}
            hasFreshness={pipeline.enabled && pipeline.schedule !== null && !pipeline.schedule.paused_at}
          />
        )}
        <Runs pipeline={pipeline} />
      </div>
      <aside aria-label="About this pipeline" className="grid content-start gap-4">
        <About pipeline={pipeline} />
        {mayEditAlerts && <WhoIsTold pipelineId={pipeline.id} />}
      </aside>
    </div>
  );
}

/** Whether it has begun to fail after a success. Only then the statistics say what was changed before. */
function isFailing({ failing_since, last_success_at }: Pipeline): boolean {
  return failing_since !== null && last_success_at !== null;
}

function Runs({ pipeline }: { pipeline: Pipeline }) {
  const canRun = useHasPermission()("pipelines.run", pipeline.domain?.id);
  const query = useInfiniteQuery(runsQuery({ pipeline: pipeline.id }, PAGE_SIZE));
  const runs = query.data?.pages.flatMap((page) => page.results) ?? [];
  return (
    <div className="min-w-0">
      <section aria-labelledby="runs-title" className="card @container min-w-0 overflow-x-auto">
        <div className="flex items-baseline justify-between gap-2 px-3 pt-3 pb-1">
          <h2 id="runs-title" className="font-semibold">
            Recent runs
          </h2>
          {runs.length > 0 && (
            <Link to="/runs" search={{ pipeline: pipeline.id }} className="link text-[0.8125rem]">
              Filter its runs
            </Link>
          )}
        </div>
        {query.isPending && <Skeletons rows={4} />}
        {query.isError && runs.length === 0 && (
          <ErrorNotice error={query.error} retry={() => void query.refetch()} />
        )}
        {runs.length > 0 && <RunsTable runs={runs} />}
        {query.isSuccess && runs.length === 0 && (
          <EmptyState title="No runs yet">
            {firstRunInWords(pipeline, canRun)} Each run will be listed here with its records and its
            duration.
          </EmptyState>
        )}
      </section>
      {query.hasNextPage && (
        <div className="mt-3 text-center">
          <Button
            disabledReason={query.isFetchingNextPage ? "Loading" : null}
            onClick={() => void query.fetchNextPage()}
          >
            {query.isFetchingNextPage ? "Loading…" : "Load more"}
          </Button>
        </div>
      )}
    </div>
  );
}

/** Says how the first run of the pipeline begins. */
function firstRunInWords({ enabled, schedule }: Pipeline, canRun: boolean): string {
  if (!enabled) return canRun ? "Enable the pipeline to run it." : "The pipeline is disabled.";
  const hasSchedule = schedule !== null && !schedule.paused_at;
  if (canRun)
    return hasSchedule ? "Click Run, or wait for the schedule." : "Click Run to start the first one.";
  return hasSchedule
    ? "The schedule starts the first one."
    : "The pipeline has no schedule: ask somebody who may run it to start it.";
}

function About({ pipeline }: { pipeline: Pipeline }) {
  return (
    <section aria-labelledby="about-title" className="card p-4">
      <h2 id="about-title" className="mb-2 font-semibold">
        About
      </h2>
      {pipeline.description && <p className="mb-2 wrap-anywhere text-soft">{pipeline.description}</p>}
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
        <dt className="text-faint">Version</dt>
        <dd>{pipeline.version}</dd>
        <dt className="text-faint">ID</dt>
        <dd className="min-w-0">
          <ItemId id={pipeline.id} path={`/pipelines/${pipeline.id}`} />
        </dd>
      </dl>
    </section>
  );
}
