import { useState } from "react";
import { Button } from "@/components/button";
import { FieldRulesEditor } from "@/components/field-rules-editor";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PreviewTable } from "@/components/preview-table";
import { hasRules, NO_RULES, type FieldRules } from "@/format/fields";
import { usePreview } from "./use-preview";

interface Props {
  pipelineId: string;
  stream: string;
  fields: FieldRules;
  onChange: (fields: FieldRules) => void;
  known: string[];
  error: string | undefined;
}

/** The rules for the fields of a stream, with a preview of their result. */
export function StreamFieldRules({ pipelineId, stream, fields, onChange, known, error }: Props) {
  const [isOpen, setIsOpen] = useState(hasRules(fields));
  const preview = usePreview(pipelineId, stream);
  if (!isOpen && !error) {
    return (
      <div>
        <Button size="small" onClick={() => setIsOpen(true)}>
          Choose, rename or protect fields
        </Button>
      </div>
    );
  }
  return (
    <section aria-label="Fields" className="grid min-w-0 gap-3">
      <h3 className="text-[0.8125rem] font-medium">Fields</h3>
      <FieldRulesEditor fields={fields} onChange={onChange} known={known} error={error} />
      <div className="flex flex-wrap gap-2">
        <Button
          size="small"
          disabledReason={preview.isPending ? "Reading" : null}
          onClick={() => preview.mutate({ fields, transforms: [] })}
        >
          Preview 10 records without a transform
        </Button>
        {hasRules(fields) && (
          <Button size="small" look="quiet" onClick={() => onChange(NO_RULES)}>
            Remove all rules
          </Button>
        )}
      </div>
      {preview.isPending && <Skeletons rows={3} />}
      {preview.error && <ErrorNotice error={preview.error} />}
      {preview.data?.failure && <FailureNotice {...preview.data.failure} />}
      {preview.data?.ok && <PreviewTable preview={preview.data} />}
    </section>
  );
}
