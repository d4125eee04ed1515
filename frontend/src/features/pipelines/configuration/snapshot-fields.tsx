import { Field } from "@/components/field";
import type { Values } from "@/format/merge";
import { SNAPSHOT_RETRIES, SNAPSHOT_SCOPES } from "@/format/modes";

interface Props {
  values: Values;
  onChange: (changes: Values) => void;
  errors: Record<string, string>;
}

/** In which snapshots a run reads the streams of a database, so that rows that refer to each other agree. */
export function SnapshotFields({ values, onChange, errors }: Props) {
  return (
    <section aria-label="Snapshots" className="card grid min-w-0 content-start gap-4 p-4 sm:grid-cols-2">
      <Choice
        label="Snapshots of the source"
        hint="In one snapshot, rows that refer to each other agree. Meanwhile no table can be truncated or altered."
        field="snapshot.scope"
        words={SNAPSHOT_SCOPES}
        {...{ values, onChange, errors }}
      />
      {values["snapshot.scope"] !== "stream" && (
        <Choice
          label="After an interruption, read"
          hint="Another attempt has a new snapshot."
          field="snapshot.retry"
          words={SNAPSHOT_RETRIES}
          {...{ values, onChange, errors }}
        />
      )}
    </section>
  );
}

interface ChoiceProps extends Props {
  label: string;
  hint: string;
  field: string;
  words: Record<string, string>;
}

function Choice({ label, hint, field, words, values, onChange, errors }: ChoiceProps) {
  return (
    <Field label={label} hint={hint} error={errors[field]}>
      {(control) => (
        <select
          className="control"
          {...control}
          value={String(values[field])}
          onChange={({ target }) => onChange({ [field]: target.value })}
        >
          {Object.entries(words).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
