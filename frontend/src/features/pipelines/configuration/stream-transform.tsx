import { useState } from "react";
import { transformsOf } from "@/format/transforms";
import { fieldMessages } from "@/api/problem";
import { Button } from "@/components/button";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PreviewTable } from "@/components/preview-table";
import { TransformEditor, transformError } from "@/components/transform-editor";
import type { FieldRules } from "@/format/fields";
import { usePreview } from "./use-preview";

interface Props {
  pipelineId: string;
  stream: string;
  code: string;
  /** The rules that apply before the transform. */
  fields: FieldRules;
  onChange: (code: string) => void;
  error: string | undefined;
}

/** The Python code that changes each record of a stream, with a preview of its result. */
export function StreamTransform({ pipelineId, stream, code, fields, onChange, error }: Props) {
  const [isOpen, setIsOpen] = useState(code !== "");
  const preview = usePreview(pipelineId, stream);
  const message = error ?? transformError(fieldMessages(preview.error));
  if (!isOpen) {
    return (
      <div>
        <Button size="small" onClick={() => setIsOpen(true)}>
          Add a Python transform
        </Button>
      </div>
    );
  }
  return (
    <section aria-label="Transform" className="grid min-w-0 gap-3">
      <h3 className="text-[0.8125rem] font-medium">Transform</h3>
      <TransformEditor code={code} onChange={onChange} error={message} />
      <div className="flex flex-wrap gap-2">
        <Button
          size="small"
          disabledReason={preview.isPending ? "Reading" : null}
          onClick={() => preview.mutate({ fields, transforms: transformsOf(code) })}
        >
          Preview 10 records
        </Button>
        {code !== "" && (
          <Button size="small" look="quiet" onClick={() => onChange("")}>
            Remove the transform
          </Button>
        )}
      </div>
      {preview.isPending && <Skeletons rows={3} />}
      {preview.error && !message && <ErrorNotice error={preview.error} />}
      {preview.data?.failure && <FailureNotice {...preview.data.failure} />}
      {preview.data?.ok && <PreviewTable preview={preview.data} />}
    </section>
  );
}
