import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import { transformsOf } from "@/api/definition";
import { fieldMessages } from "@/api/problem";
import { Button } from "@/components/button";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PreviewTable } from "@/components/preview-table";
import { TransformEditor, transformError } from "@/components/transform-editor";

interface Props {
  pipelineId: string;
  stream: string;
  code: string;
  onChange: (code: string) => void;
  error: string | undefined;
}

/** The Python code that changes each record of a stream, with a preview of its result. */
export function StreamTransform({ pipelineId, stream, code, onChange, error }: Props) {
  const [isOpen, setIsOpen] = useState(code !== "");
  const preview = usePreviewTransform(pipelineId, stream);
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
          onClick={() => preview.mutate(code)}
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

/** Previews up to ten records of a saved stream with a transform that is not saved yet. */
function usePreviewTransform(id: string, stream: string) {
  return useMutation({
    mutationFn: (code: string) =>
      unwrap(
        api.POST("/api/v1/pipelines/{id}/preview", {
          params: { path: { id } },
          body: { stream, max_records: 10, transforms: transformsOf(code) },
        }),
      ),
  });
}
