import { useState } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import type { Pipeline } from "@/api/types";
import { Button } from "@/components/button";
import { LimitFields } from "@/components/limit-fields";
import { ErrorNotice } from "@/components/notice";
import { showSuccess } from "@/components/toast";
import { limitsOf, percentOf } from "@/format/limits";
import { useSaveLimits } from "./queries";

/** Shows when the result of a run is published. It can be edited if `canEdit`. */
export function LimitsCard({ pipeline, canEdit }: { pipeline: Pipeline; canEdit: boolean }) {
  const [isEditing, setIsEditing] = useState(false);
  const limits = limitsOf(pipeline.config.streams[0]);
  return (
    <section aria-labelledby="limits-title" className="card p-4">
      <div className="mb-2 flex items-center gap-2">
        <h2 id="limits-title" className="mr-auto font-semibold">
          Limits
        </h2>
        {canEdit && !isEditing && (
          <Button size="small" aria-label="Edit limits" onClick={() => setIsEditing(true)}>
            Edit
          </Button>
        )}
      </div>
      {isEditing ? (
        <EditLimits pipeline={pipeline} onClose={() => setIsEditing(false)} />
      ) : (
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[0.8125rem]">
          <dt className="text-faint">Rejected records</dt>
          <dd>
            {limits.maxRejectedShare ? `up to ${percentOf(limits.maxRejectedShare)} %` : "none allowed"}
          </dd>
          <dt className="text-faint">Empty result</dt>
          <dd>{limits.allowEmpty ? "may replace rows" : "fails over a table with rows"}</dd>
        </dl>
      )}
    </section>
  );
}

function EditLimits({ pipeline, onClose }: { pipeline: Pipeline; onClose: () => void }) {
  const saved = limitsOf(pipeline.config.streams[0]);
  const [limits, setLimits] = useState(saved);
  const save = useSaveLimits(pipeline.id, ({ version }) => {
    showSuccess(`Saved as version ${version}. The next run and retries use it.`);
    onClose();
  });
  const errors = messagesBelow(fieldMessages(save.error), "streams.0");
  const isSame = limits.allowEmpty === saved.allowEmpty && limits.maxRejectedShare === saved.maxRejectedShare;
  return (
    <div className="grid gap-3">
      <LimitFields limits={limits} onChange={setLimits} errors={errors} />
      {save.error && Object.keys(errors).length === 0 && <ErrorNotice error={save.error} />}
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={save.isPending ? "Saving" : isSame ? "Nothing has changed" : null}
          onClick={() => save.mutate(limits)}
        >
          Save
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
    </div>
  );
}
