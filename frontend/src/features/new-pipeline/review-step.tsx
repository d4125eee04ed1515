import { useState } from "react";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { countWithNoun } from "@/format/number";
import type { Draft } from "./draft";
import { PreviewTable } from "@/components/preview-table";
import { usePreview } from "./queries";
import { StepActions } from "./step";
import { TransformEditor, transformError } from "@/components/transform-editor";

interface Props {
  draft: Draft;
  saving: boolean;
  error: unknown;
  errors: Record<string, string>;
  /** Called while the user types, so that nothing is lost if the page is left. */
  onChange: (change: Partial<Draft>) => void;
  onDone: (choice: { name: string; tags: string[]; transform: string }) => void;
}

export function ReviewStep({ draft, saving, error, errors, onChange, onDone }: Props) {
  const [name, setName] = useState(draft.name || suggestedName(draft));
  const [tags, setTags] = useState(draft.tags.join(", "));
  const [transform, setTransform] = useState(draft.transform);
  const preview = usePreview();
  const transformMessage = transformError({ ...fieldMessages(preview.error), ...errors });
  function changeTransform(code: string) {
    setTransform(code);
    onChange({ transform: code });
  }
  const showPreview = () => preview.mutate({ ...draft, transform });
  return (
    <div className="grid gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Name"
          value={name}
          maxLength={120}
          required
          error={
            errors.name ?? nameTakenMessage(error) ?? (name.trim() === "" ? "This field is required." : null)
          }
          onChange={({ target }) => {
            setName(target.value);
            onChange({ name: target.value });
          }}
        />
        <TextField
          label="Tags"
          optional
          hint="Separate tags with commas."
          value={tags}
          error={errors.tags}
          onChange={({ target }) => {
            setTags(target.value);
            onChange({ tags: parseTags(target.value) });
          }}
        />
      </div>
      <details open={transform !== ""} className="rounded-card border border-line">
        <summary className="rounded-card px-3 py-2 font-medium hover:bg-hover">
          Transform records with Python <span className="font-normal text-faint">(optional)</span>
        </summary>
        <div className="border-t border-line p-3">
          <TransformEditor code={transform} onChange={changeTransform} error={transformMessage} />
        </div>
      </details>
      {preview.isPending && <Skeletons rows={4} />}
      {preview.error && !transformMessage && <ErrorNotice error={preview.error} retry={showPreview} />}
      {preview.data?.failure && <FailureNotice {...preview.data.failure} retry={showPreview} />}
      {preview.data?.ok && (
        <div className="grid gap-1.5">
          <p className="text-soft">
            Read {countWithNoun(preview.data.records.length, "record")} from the source. Nothing was written.
          </p>
          <PreviewTable preview={preview.data} />
        </div>
      )}
      {error != null && !nameTakenMessage(error) && !transformMessage && <ErrorNotice error={error} />}
      <StepActions
        nextLabel={saving ? "Creating…" : "Create pipeline"}
        disabledReason={saving ? "Creating" : name.trim() === "" ? "Enter a name first" : null}
        onNext={() => onDone({ name, tags: parseTags(tags), transform })}
      >
        <Button disabledReason={preview.isPending ? "Reading" : null} onClick={showPreview}>
          Preview 10 records
        </Button>
      </StepActions>
    </div>
  );
}

function suggestedName({ stream, destination }: Draft): string {
  return `${stream} to ${destination?.label ?? ""}`;
}

function parseTags(text: string): string[] {
  return [
    ...new Set(
      text
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean),
    ),
  ];
}
