import { Button } from "@/components/button";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PreviewTable } from "@/components/preview-table";
import { RulesOnDemand } from "@/components/streams/rules-on-demand";
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
  const preview = usePreview(pipelineId, stream);
  return (
    <RulesOnDemand label="Fields" fields={fields} known={known} error={error} onChange={onChange}>
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
    </RulesOnDemand>
  );
}
