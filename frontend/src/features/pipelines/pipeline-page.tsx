import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useBlocker, useLocation, useNavigate, useParams } from "@tanstack/react-router";
import { Switch } from "radix-ui";
import type { Versioned } from "@/api/client";
import { pipelineQuery } from "@/api/pipelines";
import { dataIfFound, pollUntilDeleted } from "@/api/problem";
import type { Pipeline } from "@/api/types";
import { ConfirmDialog } from "@/components/dialog";
import { ItemPlaceholder } from "@/components/error-pages";
import { WarningNotices } from "@/components/notice";
import { PageTitle, usePageTitle, useTabInView } from "@/components/page";
import { showError } from "@/components/toast";
import { useEdits } from "@/components/use-edits";
import { Name } from "@/components/name";
import { useOrgEvents } from "@/live/org-events";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { valuesOf } from "./configuration/values";
import { SourceChanges } from "./drift/source-changes";
import { PipelinePageContext } from "./page-context";
import { PipelineActions } from "./pipeline-actions";
import { useSetEnabled } from "./queries";
import { PipelineRoute } from "./pipeline-route";
import { RunButton } from "./list/run-button";
import { StreamDecisions } from "./stream-decisions";
import { scheduleValues } from "./schedule-values";

export function PipelinePage() {
  const { pipelineId } = useParams({ from: "/app/pipelines/$pipelineId" });
  useOrgEvents();
  const { data, error, refetch } = useQuery({
    ...pipelineQuery(pipelineId),
    refetchInterval: pollUntilDeleted,
  });
  const pipeline = dataIfFound(data, error);
  usePageTitle(useTitle(pipeline));
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      {!pipeline && (
        <ItemPlaceholder
          item="pipeline"
          error={error}
          retry={() => void refetch()}
          wasShown={data !== undefined}
        />
      )}
      {pipeline && <PipelineContent key={pipeline.id} pipeline={pipeline} />}
    </div>
  );
}

/** The name of the pipeline, and the tab that is open. The first tab is the page itself. */
function useTitle(pipeline: Pipeline | undefined): string {
  const end = useLocation({ select: ({ pathname }) => pathname.split("/")[3] });
  const name = pipeline?.name ?? "Pipeline";
  const tab = TABS.find(({ to }) => to.split("/")[3] === end);
  return end && tab ? `${tab.label} · ${name}` : name;
}

function PipelineContent({ pipeline }: { pipeline: Versioned<Pipeline> }) {
  const canEdit = useCanEdit(pipeline);
  const configuration = useEdits(valuesOf(pipeline));
  const schedule = useEdits(scheduleValues(pipeline.schedule));
  const hasEdits = configuration.changed.length > 0 || schedule.changed.length > 0;
  return (
    <PipelinePageContext value={{ pipeline, canEdit, configuration, schedule }}>
      <Header pipeline={pipeline} canEdit={canEdit} />
      <WarningNotices warnings={pipeline.warnings} />
      <StreamDecisions pipeline={pipeline} canEdit={canEdit} />
      <SourceChanges pipeline={pipeline} canEdit={canEdit} />
      <Tabs pipeline={pipeline} changedTabs={changedTabs(configuration.changed, schedule.changed)} />
      <Outlet />
      <LeaveDialog hasEdits={hasEdits} pipelineId={pipeline.id} />
    </PipelinePageContext>
  );
}

/** Whether the user may edit the pipeline now. */
function useCanEdit(pipeline: Pipeline): boolean {
  const hasPermission = useHasPermission();
  return useReadOnlyReason() === null && hasPermission("pipelines.edit", pipeline.domain?.id);
}

function Header({ pipeline, canEdit }: { pipeline: Versioned<Pipeline>; canEdit: boolean }) {
  const canRun = useHasPermission()("pipelines.run", pipeline.domain?.id);
  const navigate = useNavigate();
  return (
    <div className="mb-3 flex flex-wrap items-center gap-x-3 gap-y-2">
      <div className="mr-auto min-w-0">
        <nav aria-label="Breadcrumb" className="text-[0.8125rem] text-faint">
          <Link to="/pipelines" className="hover:underline">
            Pipelines
          </Link>
        </nav>
        <PageTitle>
          <Name>{pipeline.name}</Name>
        </PageTitle>
        <PipelineRoute pipeline={pipeline} />
      </div>
      {canEdit && <EnabledSwitch pipeline={pipeline} />}
      {canRun && (
        <RunButton
          pipeline={pipeline}
          look="primary"
          onStarted={(runId) => void navigate({ to: "/runs/$runId", params: { runId } })}
        />
      )}
      <PipelineActions pipeline={pipeline} canEdit={canEdit} />
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

const TABS = [
  { to: "/pipelines/$pipelineId", label: "Runs" },
  { to: "/pipelines/$pipelineId/data", label: "Data" },
  { to: "/pipelines/$pipelineId/configuration", label: "Configuration" },
  { to: "/pipelines/$pipelineId/schedule", label: "Schedule" },
  { to: "/pipelines/$pipelineId/versions", label: "Versions" },
  { to: "/pipelines/$pipelineId/state", label: "State" },
] as const;

type TabLabel = (typeof TABS)[number]["label"];

function changedTabs(configuration: string[], schedule: string[]): TabLabel[] {
  return [
    ...(configuration.length > 0 ? (["Configuration"] as const) : []),
    ...(schedule.length > 0 ? (["Schedule"] as const) : []),
  ];
}

function Tabs({ pipeline, changedTabs }: { pipeline: Pipeline; changedTabs: TabLabel[] }) {
  const mayLook = useHasPermission()("data.view", pipeline.domain?.id);
  const tabs = TABS.filter(({ label }) => label !== "Data" || mayLook);
  const row = useTabInView();
  return (
    <nav
      ref={row}
      aria-label="Pipeline"
      className="mb-4 flex gap-1 overflow-x-auto border-b border-line max-sm:gap-0"
    >
      {tabs.map(({ to, label }) => (
        <Link
          key={to}
          to={to}
          params={{ pipelineId: pipeline.id }}
          activeOptions={{ exact: true }}
          className="border-b-2 border-transparent px-2.5 py-1.5 whitespace-nowrap text-soft hover:text-ink max-sm:px-1 max-sm:text-[0.8125rem] data-[status=active]:border-ink data-[status=active]:font-medium data-[status=active]:text-ink"
          activeProps={{ "aria-current": "page" }}
        >
          {label}
          {changedTabs.includes(label) && (
            <span className="ml-1 text-wait" title="Not saved">
              •<span className="sr-only"> (not saved)</span>
            </span>
          )}
        </Link>
      ))}
    </nav>
  );
}

/** Asks before changes that are not saved are lost, because the user leaves the page or closes the tab of the browser. */
function LeaveDialog({ hasEdits, pipelineId }: { hasEdits: boolean; pipelineId: string }) {
  const { status, proceed, reset } = useBlocker({
    shouldBlockFn: ({ next }) => hasEdits && !next.pathname.startsWith(`/pipelines/${pipelineId}`),
    enableBeforeUnload: hasEdits,
    withResolver: true,
  });
  return (
    <ConfirmDialog
      open={status === "blocked"}
      title="Leave without saving?"
      confirmLabel="Discard changes"
      danger
      onConfirm={() => proceed?.()}
      onClose={() => reset?.()}
    >
      Your changes of this pipeline are not saved.
    </ConfirmDialog>
  );
}
