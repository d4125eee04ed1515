import { useState } from "react";
import type { RunRow } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { StopIcon } from "@/components/icons";
import { showError } from "@/components/toast";
import { useCancelRun } from "./queries";

interface Props {
  run: Pick<RunRow, "id" | "status" | "cancel_requested" | "pipeline">;
  /** Whether it is in the row of a list. */
  isSmall?: boolean;
}

/** Cancels a run that waits or runs, after a confirmation. */
export function CancelButton({ run, isSmall = false }: Props) {
  const [isConfirming, setIsConfirming] = useState(false);
  const cancel = useCancelRun(run.id);
  const isCancelling = cancel.isPending || cancel.isSuccess || run.cancel_requested;
  return (
    <>
      <Button
        look={isSmall ? "quiet" : "danger"}
        size={isSmall ? "small" : "normal"}
        aria-label={isSmall && !isCancelling ? `Cancel the run of ${run.pipeline.name}` : undefined}
        disabledReason={isCancelling ? "Stopping at the next safe point" : null}
        onClick={() => setIsConfirming(true)}
      >
        {!isSmall && <StopIcon className="-ml-0.5" />}
        {isCancelling ? "Cancelling…" : isSmall ? "Cancel" : "Cancel run"}
      </Button>
      <ConfirmDialog
        open={isConfirming}
        title="Cancel this run?"
        confirmLabel="Cancel run"
        danger
        onClose={() => setIsConfirming(false)}
        onConfirm={() => {
          setIsConfirming(false);
          cancel.mutate(undefined, { onError: (error) => showError(error) });
        }}
      >
        {run.status === "pending"
          ? "The run leaves the queue. A retry puts it at the end."
          : "The run stops within 10 seconds and publishes nothing. A retry continues from the last checkpoint."}
      </ConfirmDialog>
    </>
  );
}
