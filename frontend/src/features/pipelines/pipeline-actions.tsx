import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import type { Versioned } from "@/api/client";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import { reasonOfLiveRun } from "@/api/run-status";
import type { Pipeline } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { Menu, MenuItem } from "@/components/menu";
import { showSuccess } from "@/components/toast";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { useDeletePipeline, useDuplicatePipeline } from "./queries";

/** The menu of a pipeline's page: duplicate and delete. */
export function PipelineActions({ pipeline, canEdit }: { pipeline: Versioned<Pipeline>; canEdit: boolean }) {
  const hasPermission = useHasPermission();
  const canDelete = useReadOnlyReason() === null && hasPermission("pipelines.delete", pipeline.domain?.id);
  const [dialog, setDialog] = useState<"duplicate" | "delete" | null>(null);
  if (!canEdit && !canDelete) return null;
  return (
    <>
      <Menu label="More actions" trigger={<Button aria-label="More actions">More</Button>}>
        {canEdit && <MenuItem onSelect={() => setDialog("duplicate")}>Duplicate</MenuItem>}
        {canDelete && <MenuItem onSelect={() => setDialog("delete")}>Delete</MenuItem>}
      </Menu>
      {dialog === "duplicate" && <DuplicateDialog pipeline={pipeline} onClose={() => setDialog(null)} />}
      {dialog === "delete" && <DeleteDialog pipeline={pipeline} onClose={() => setDialog(null)} />}
    </>
  );
}

function DuplicateDialog({ pipeline, onClose }: { pipeline: Pipeline; onClose: () => void }) {
  const navigate = useNavigate();
  const [name, setName] = useState(`${pipeline.name.slice(0, 100)} (copy)`);
  const duplicate = useDuplicatePipeline(pipeline.id);
  const message = nameTakenMessage(duplicate.error) ?? fieldMessages(duplicate.error).name ?? null;
  return (
    <ConfirmDialog
      open
      title={`Duplicate ${pipeline.name}`}
      confirmLabel={duplicate.isPending ? "Duplicating…" : "Duplicate"}
      disabledReason={duplicate.isPending ? "Duplicating" : name.trim() === "" ? "Enter a name first" : null}
      onClose={onClose}
      onConfirm={() =>
        duplicate.mutate(name.trim(), {
          onSuccess: (copy) => {
            onClose();
            showSuccess(`${copy.name} was created. It is disabled.`);
            void navigate({ to: "/pipelines/$pipelineId", params: { pipelineId: copy.id } });
          },
        })
      }
    >
      <div className="grid gap-3">
        <p>
          The copy has the same settings, secrets and schedule, but no runs and no state. It is disabled, and
          writes to another table if two pipelines cannot share this one.
        </p>
        <TextField
          label="Name of the copy"
          required
          maxLength={120}
          value={name}
          error={message}
          onChange={({ target }) => setName(target.value)}
        />
        {duplicate.error && !message && <ErrorNotice error={duplicate.error} />}
      </div>
    </ConfirmDialog>
  );
}

function DeleteDialog({ pipeline, onClose }: { pipeline: Versioned<Pipeline>; onClose: () => void }) {
  const navigate = useNavigate();
  const remove = useDeletePipeline(pipeline, async () => {
    showSuccess(`${pipeline.name} was deleted.`);
    await navigate({ to: "/pipelines", ignoreBlocker: true });
  });
  const reason = reasonOfLiveRun(pipeline.last_run);
  return (
    <ConfirmDialog
      open
      title={`Delete ${pipeline.name}?`}
      confirmLabel={remove.isPending ? "Deleting…" : "Delete"}
      danger
      nameToType={pipeline.name}
      disabledReason={remove.isPending ? "Deleting" : reason && `${reason} Cancel it first.`}
      onClose={onClose}
      onConfirm={() => remove.mutate()}
    >
      <div className="grid gap-3">
        <p>
          <strong className="font-medium text-ink">Removed:</strong> the pipeline with its versions, schedule
          and state, all its runs with their logs and records left out, and what it has written to
          Drover&apos;s own storage: files and tables of DuckDB.
        </p>
        <p>
          <strong className="font-medium text-ink">Kept:</strong> tables and files in your own databases and
          buckets, saved connectors, custom sources and uploaded files.
        </p>
        {reason && <p className="text-wait">{reason} Cancel it first.</p>}
        {remove.error && <ErrorNotice error={remove.error} />}
      </div>
    </ConfirmDialog>
  );
}
