import { NewFollowUp } from "@/components/follow-ups/follow-up-form";
import { isObject } from "@/components/schema-form/schema";
import type { JsonRecord } from "./transcript";

interface Props {
  form: JsonRecord;
  onSaved: (followUpId: string) => void;
}

/**
 * What is called after the runs of a pipeline. It goes directly to the API and not into the conversation, so the agent and
 * its language model never see a secret or the URL of a webhook. The agent gets the id only.
 */
export function FollowUpForm({ form, onSaved }: Props) {
  return (
    <NewFollowUp
      pipelineId={String(form.pipeline_id)}
      prefilled={isObject(form.values) ? form.values : undefined}
      onAdded={({ id }) => onSaved(id)}
      below={
        <p className="text-xs text-faint">
          Saved in Drover directly. The agent does not see what you enter here.
        </p>
      }
    />
  );
}
