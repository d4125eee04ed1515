import { ChoiceField } from "@/components/choice-field";
import type { Values } from "@/format/merge";
import {
  ON_STREAM_FAILURE,
  ON_STREAM_FAILURE_HINTS,
  SNAPSHOT_RETRIES,
  SNAPSHOT_SCOPES,
  type OnStreamFailure,
} from "@/format/modes";

interface Props {
  values: Values;
  onChange: (changes: Values) => void;
  errors: Record<string, string>;
  /** Whether the source can be read in a snapshot. */
  hasSnapshots: boolean;
}

/** How a run reads several streams: what it does if one fails, and in which snapshots it reads a database. */
export function SeveralStreamsFields({ hasSnapshots, ...props }: Props) {
  const onStreamFailure = props.values.on_stream_failure as OnStreamFailure;
  return (
    <section
      aria-label="Several streams"
      className="card grid min-w-0 content-start gap-4 p-4 sm:grid-cols-2 @4xl/page:grid-cols-3"
    >
      <Choice
        label="If a stream fails"
        hint={ON_STREAM_FAILURE_HINTS[onStreamFailure]}
        field="on_stream_failure"
        words={ON_STREAM_FAILURE}
        {...props}
      />
      {hasSnapshots && (
        <Choice
          label="Snapshots of the source"
          hint="In one snapshot, rows that refer to each other agree. Meanwhile no table can be truncated or altered."
          field="snapshot.scope"
          words={SNAPSHOT_SCOPES}
          {...props}
        />
      )}
      {hasSnapshots && props.values["snapshot.scope"] !== "stream" && (
        <Choice
          label="After an interruption, read"
          hint="Another attempt has a new snapshot."
          field="snapshot.retry"
          words={SNAPSHOT_RETRIES}
          {...props}
        />
      )}
    </section>
  );
}

interface ChoiceProps extends Omit<Props, "hasSnapshots"> {
  label: string;
  hint: string;
  field: string;
  words: Record<string, string>;
}

function Choice({ field, values, onChange, errors, ...choice }: ChoiceProps) {
  return (
    <ChoiceField
      {...choice}
      error={errors[field]}
      value={String(values[field])}
      onChange={(value) => onChange({ [field]: value })}
    />
  );
}
