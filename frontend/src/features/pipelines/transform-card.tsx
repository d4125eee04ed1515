import { useState } from "react";
import { fieldMessages } from "@/api/problem";
import type { Pipeline } from "@/api/types";
import { Button } from "@/components/button";
import { CodeEditor } from "@/components/code-editor";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { showSuccess } from "@/components/toast";
import { PreviewTable } from "@/components/preview-table";
import { TransformEditor, transformError } from "@/components/transform-editor";
import { usePreviewTransform, useSaveTransform } from "./queries";

const NO_MESSAGES: never[] = [];
const ignoreChange = () => undefined;

/** Shows the Python code that changes each record of the pipeline. It can be edited if `canEdit`. */
export function TransformCard({ pipeline, canEdit }: { pipeline: Pipeline; canEdit: boolean }) {
  const [isEditing, setIsEditing] = useState(false);
  const savedCode = pipeline.config.streams[0]?.transforms[0]?.code ?? "";
  if (savedCode === "" && !canEdit) return null;
  return (
    <section aria-labelledby="transform-title" className="card grid gap-3 p-4">
      <div className="flex flex-wrap items-center gap-2">
        <h2 id="transform-title" className="mr-auto font-semibold">
          Transform
        </h2>
        {canEdit && !isEditing && (
          <Button size="small" onClick={() => setIsEditing(true)}>
            {savedCode === "" ? "Add a Python transform" : "Edit"}
          </Button>
        )}
      </div>
      {isEditing ? (
        <EditTransform pipeline={pipeline} savedCode={savedCode} onClose={() => setIsEditing(false)} />
      ) : savedCode === "" ? (
        <p className="text-soft">No transform</p>
      ) : (
        <CodeEditor
          label="Transform code"
          value={savedCode}
          onChange={ignoreChange}
          messages={NO_MESSAGES}
          readOnly
          minHeight="3rem"
        />
      )}
    </section>
  );
}

function EditTransform({
  pipeline,
  savedCode,
  onClose,
}: {
  pipeline: Pipeline;
  savedCode: string;
  onClose: () => void;
}) {
  const [code, setCode] = useState(savedCode);
  const preview = usePreviewTransform(pipeline.id);
  const save = useSaveTransform(pipeline.id, ({ version }) => {
    showSuccess(`Saved as version ${version}. The next run uses it.`);
    onClose();
  });
  const transformMessage = transformError({ ...fieldMessages(preview.error), ...fieldMessages(save.error) });
  return (
    <>
      <TransformEditor code={code} onChange={setCode} error={transformMessage} />
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={save.isPending ? "Saving" : code === savedCode ? "Nothing has changed" : null}
          onClick={() => save.mutate(code)}
        >
          Save
        </Button>
        <Button disabledReason={preview.isPending ? "Reading" : null} onClick={() => preview.mutate(code)}>
          Preview 10 records
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
      {preview.isPending && <Skeletons rows={3} />}
      {(preview.error ?? save.error) && !transformMessage && (
        <ErrorNotice error={preview.error ?? save.error} />
      )}
      {preview.data?.failure && <FailureNotice {...preview.data.failure} />}
      {preview.data?.ok && <PreviewTable preview={preview.data} />}
    </>
  );
}
