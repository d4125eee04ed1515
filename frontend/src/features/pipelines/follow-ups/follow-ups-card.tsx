import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { FollowUp } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { DestroyDialog } from "@/components/destroy-dialog";
import { EnabledSwitch } from "@/components/enabled-switch";
import { Name } from "@/components/name";
import { QueryContent } from "@/components/section";
import { showError, showSuccess } from "@/components/toast";
import { useFocusReturn } from "@/components/use-focus-return";
import { CallLog } from "./call-log";
import { EditFollowUp, NewFollowUp } from "@/components/follow-ups/follow-up-form";
import {
  followUpsQuery,
  useChangeFollowUp,
  useDeleteFollowUp,
  useTestFollowUp,
} from "@/components/follow-ups/queries";
import { AFTER, KINDS } from "@/components/follow-ups/words";

interface Props {
  pipelineId: string;
  canEdit: boolean;
}

/** What is called after the runs of the pipeline, and the answers. */
export function FollowUpsCard({ pipelineId, canEdit }: Props) {
  const followUps = useQuery(followUpsQuery(pipelineId));
  const [isCreating, setCreating] = useState(false);
  const addButton = useFocusReturn(isCreating);
  const [asked, setAsked] = useState<FollowUp | null>(null);
  const remove = useDeleteFollowUp(pipelineId);
  return (
    <section aria-label="After a run" className="card grid gap-3 p-4">
      <div>
        <h2 className="font-semibold">After a run</h2>
        <p className="text-soft">
          When a run has ended, Drover can call a webhook or start a job of dbt Cloud. Replays and backfills
          call nothing.
        </p>
      </div>
      <QueryContent query={followUps}>
        {({ results }) => (
          <>
            <ul aria-label="Calls after a run" className="divide-y divide-line empty:hidden">
              {results.map((followUp) => (
                <li key={followUp.id} className="py-2.5 first:pt-0">
                  <FollowUpRow
                    pipelineId={pipelineId}
                    followUp={followUp}
                    canEdit={canEdit}
                    onDelete={() => setAsked(followUp)}
                  />
                </li>
              ))}
            </ul>
            {results.length > 0 && <CallLog pipelineId={pipelineId} />}
          </>
        )}
      </QueryContent>
      {canEdit && !isCreating && (
        <div>
          <Button ref={addButton} onClick={() => setCreating(true)}>
            Add a call
          </Button>
        </div>
      )}
      {isCreating && (
        <div className="grid gap-3 rounded-card border border-line p-4">
          <h3 className="font-semibold">New call</h3>
          <NewFollowUp
            pipelineId={pipelineId}
            onAdded={() => setCreating(false)}
            onClose={() => setCreating(false)}
          />
        </div>
      )}
      <DestroyDialog
        target={asked}
        nameOf={({ name }) => name}
        verb="Delete"
        destruction={{ ...remove, mutate: ({ id }, options) => remove.mutate(id, options) }}
        onClose={() => setAsked(null)}
      >
        It is not called any more, and the log of its calls is deleted.
      </DestroyDialog>
    </section>
  );
}

interface RowProps {
  pipelineId: string;
  followUp: FollowUp;
  canEdit: boolean;
  onDelete: () => void;
}

function FollowUpRow({ pipelineId, followUp, canEdit, onDelete }: RowProps) {
  const change = useChangeFollowUp(pipelineId);
  const [isEditing, setEditing] = useState(false);
  const editButton = useFocusReturn(isEditing);
  const { id, name, kind, after, settings, enabled } = followUp;
  return (
    <div className="grid gap-1">
      <div className="flex flex-wrap items-center gap-2">
        <Name className="mr-auto font-medium">{name}</Name>
        {canEdit && (
          <>
            <EnabledSwitch
              of={name}
              isEnabled={enabled}
              onChange={(next) =>
                change.mutate(
                  { followUp: id, change: { enabled: next } },
                  { onError: (error) => showError(error) },
                )
              }
            />
            <TestButton pipelineId={pipelineId} followUp={followUp} />
            <Button
              ref={editButton}
              size="small"
              aria-expanded={isEditing}
              aria-label={`Edit ${name}`}
              onClick={() => setEditing(!isEditing)}
            >
              Edit
            </Button>
            <Button size="small" look="danger" aria-label={`Delete ${name}`} onClick={onDelete}>
              Delete
            </Button>
          </>
        )}
        {!canEdit && !enabled && <span className="text-soft">Disabled</span>}
      </div>
      <p className="text-[0.8125rem] wrap-anywhere text-soft">
        {KINDS[kind]}, {AFTER[after].toLowerCase()}: {String(settings.url)}
        {kind === "dbt_cloud" && `, job ${String(settings.job_id)}`}
      </p>
      {isEditing && canEdit && (
        <EditFollowUp pipelineId={pipelineId} id={id} onClose={() => setEditing(false)} />
      )}
    </div>
  );
}

/** Makes a test call with the newest run that has ended. The list of calls shows the answer. */
function TestButton({ pipelineId, followUp }: { pipelineId: string; followUp: FollowUp }) {
  const { id, name, kind, settings, enabled } = followUp;
  const [isAsking, setAsking] = useState(false);
  const test = useTestFollowUp(pipelineId);
  const send = () =>
    test.mutate(id, {
      onSuccess: () => showSuccess(`${name} is called. The answer is in the list of calls.`),
      onError: (error) => showError(error),
    });
  return (
    <>
      <Button
        size="small"
        aria-label={`Test ${name}`}
        disabledReason={!enabled ? "Enable the call first" : test.isPending ? "Calling" : null}
        title={enabled ? undefined : "Enable the call first"}
        onClick={kind === "dbt_cloud" ? () => setAsking(true) : send}
      >
        Test
      </Button>
      <ConfirmDialog
        open={isAsking}
        title={`Start job ${String(settings.job_id)} of dbt Cloud?`}
        confirmLabel="Start the job"
        onClose={() => setAsking(false)}
        onConfirm={() => {
          setAsking(false);
          send();
        }}
      >
        A test starts the job, as a run of the pipeline does.
      </ConfirmDialog>
    </>
  );
}
