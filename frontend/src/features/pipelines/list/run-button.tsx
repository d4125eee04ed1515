import { Link } from "@tanstack/react-router";
import { ProblemError } from "@/api/problem";
import { reasonOfLiveRun } from "@/api/run-status";
import { Button } from "@/components/button";
import { Hint } from "@/components/hint";
import { PlayIcon } from "@/components/icons";
import { showError, showSuccess } from "@/components/toast";
import type { PipelineRow } from "@/api/types";
import { useReadOnlyReason } from "@/session/use-session";
import { useStartRun } from "./start-run";

type PipelineToRun = Pick<PipelineRow, "id" | "name" | "enabled" | "last_run">;

/** Returns a function that starts a run of a pipeline, and says so. */
export function useRunPipeline() {
  const { mutate, isPending } = useStartRun();
  function start(pipeline: PipelineToRun, onStarted?: (runId: string) => void) {
    mutate(pipeline.id, {
      onSuccess: (run) => {
        if (onStarted) return onStarted(run.id);
        return showSuccess(`${pipeline.name} has started.`, <RunLink id={run.id}>View run</RunLink>);
      },
      onError: (error) => showError(error, <LiveRunLink error={error} />),
    });
  }
  return { start, isPending };
}

/** The reason why the pipeline cannot be started now, or null. */
export function notRunnableReason(pipeline: PipelineToRun): string | null {
  if (!pipeline.enabled) return "The pipeline is disabled. Enable it to run it.";
  return reasonOfLiveRun(pipeline.last_run);
}

interface Props {
  pipeline: PipelineToRun;
  look?: "plain" | "primary";
  onStarted?: (runId: string) => void;
}

export function RunButton({ pipeline, look = "plain", onStarted }: Props) {
  const { start, isPending } = useRunPipeline();
  const readOnlyReason = useReadOnlyReason();
  const run = () => start(pipeline, onStarted);
  const reason = isPending ? "Starting" : (readOnlyReason ?? notRunnableReason(pipeline));
  return (
    <Hint text={reason}>
      <Button
        look={look}
        size={look === "primary" ? "normal" : "small"}
        aria-label={`Run ${pipeline.name}`}
        disabledReason={reason}
        onClick={run}
      >
        <PlayIcon className={look === "primary" ? "-ml-0.5" : "@md:-ml-0.5"} />
        <span className={look === "primary" ? undefined : "@max-md:sr-only"}>Run</span>
      </Button>
    </Hint>
  );
}

/** A link to the live run, if the server refused a new run because of it. */
function LiveRunLink({ error }: { error: unknown }) {
  if (!(error instanceof ProblemError) || error.status !== 409) return null;
  const id = error.body.run_id;
  return typeof id === "string" ? <RunLink id={id}>View that run</RunLink> : null;
}

function RunLink({ id, children }: { id: string; children: string }) {
  return (
    <Link to="/runs/$runId" params={{ runId: id }} className="link font-medium">
      {children}
    </Link>
  );
}
