import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { Pipeline } from "@/api/types";
import { OutputsCard } from "@/components/outputs-card";
import { RecordsPanel } from "@/components/records/records-panel";
import { isLive } from "@/api/run-status";
import { useHasPermission } from "@/session/use-session";
import { parseDataSearch } from "./data-search";
import { usePipelinePage } from "./page-context";
import { RunButton } from "./list/run-button";

/** The records that the runs of the pipeline have written, and what the last run left out. */
export function DataTab() {
  const { pipeline } = usePipelinePage();
  const mayLook = useHasPermission()("data.view", pipeline.domain?.id);
  const { stream } = useSearch({ from: "/app/pipelines/$pipelineId/data", select: parseDataSearch });
  const navigate = useNavigate({ from: "/pipelines/$pipelineId/data" });
  if (!mayLook) {
    return <p className="text-soft">Members can look at the records. Ask an admin of your organization.</p>;
  }
  const last = pipeline.last_run;
  return (
    <div className="grid gap-4 @5xl/page:grid-cols-[minmax(0,1fr)_20rem]">
      <RecordsPanel
        of={{ kind: "pipeline", id: pipeline.id }}
        stream={stream}
        onSelectStream={(name) => void navigate({ search: { stream: name } })}
        isLive={last !== null && isLive(last.status)}
        emptyAction={<FirstRun pipeline={pipeline} />}
      />
      {last && (
        <aside aria-label="The last run" className="grid content-start gap-4">
          <section aria-labelledby="left-out-of-last" className="card p-4">
            <h2 id="left-out-of-last" className="mb-1 font-semibold">
              Last run
            </h2>
            <p className="text-soft">
              <Link to="/runs/$runId" params={{ runId: last.id }} className="link">
                Open the run
              </Link>{" "}
              for the records that it rejected or skipped, with the reasons, and to send them again.
            </p>
          </section>
          {!isLive(last.status) && <OutputsCard runId={last.id} mayDownload={mayLook} />}
        </aside>
      )}
    </div>
  );
}

function FirstRun({ pipeline }: { pipeline: Pipeline }) {
  const canRun = useHasPermission()("pipelines.run", pipeline.domain?.id);
  const navigate = useNavigate();
  if (!canRun) return null;
  return (
    <RunButton
      pipeline={pipeline}
      look="primary"
      onStarted={(runId) => void navigate({ to: "/runs/$runId", params: { runId } })}
    />
  );
}
