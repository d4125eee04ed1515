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

const NONE: never[] = [];
const unchanged = () => undefined;

/** Shows the Python code that changes each record of the pipeline. It can be edited if `canEdit`. */
export function TransformCard({ pipeline, canEdit }: { pipeline: Pipeline; canEdit: boolean }) {
  const [editing, setEditing] = useState(false);
  const saved = pipeline.config.streams[0]?.transforms[0]?.code ?? "";
  if (saved === "" && !canEdit) return null;
  return (
    <section aria-labelledby="transform-title" className="card grid gap-3 p-4">
      <div className="flex flex-wrap items-center gap-2">
        <h2 id="transform-title" className="mr-auto font-semibold">
          Transform
        </h2>
        {canEdit && !editing && (
          <Button size="small" onClick={() => setEditing(true)}>
            {saved === "" ? "Add a Python transform" : "Edit"}
          </Button>
        )}
      </div>
      {editing ? (
        <Editing pipeline={pipeline} saved={saved} onClose={() => setEditing(false)} />
      ) : saved === "" ? (
        <p className="text-soft">No transform</p>
      ) : (
        <CodeEditor
          label="Transform code"
          value={saved}
          onChange={unchanged}
          messages={NONE}
          readOnly
          minHeight="3rem"
        />
      )}
    </section>
  );
}

function Editing({ pipeline, saved, onClose }: { pipeline: Pipeline; saved: string; onClose: () => void }) {
  const [code, setCode] = useState(saved);
  const preview = usePreviewTransform(pipeline.id);
  const save = useSaveTransform(pipeline.id, ({ version }) => {
    showSuccess(`Saved as version ${version}. The next run uses it.`);
    onClose();
  });
  const wrong = transformError({ ...fieldMessages(preview.error), ...fieldMessages(save.error) });
  return (
    <>
      <TransformEditor code={code} onChange={setCode} error={wrong} />
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          blocked={save.isPending ? "Saving" : code === saved ? "Nothing has changed" : null}
          onClick={() => save.mutate(code)}
        >
          Save
        </Button>
        <Button blocked={preview.isPending ? "Reading" : null} onClick={() => preview.mutate(code)}>
          Preview 10 records
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
      {preview.isPending && <Skeletons rows={3} />}
      {(preview.error ?? save.error) && !wrong && <ErrorNotice error={preview.error ?? save.error} />}
      {preview.data?.failure && <FailureNotice {...preview.data.failure} />}
      {preview.data?.ok && <PreviewTable preview={preview.data} />}
    </>
  );
}
