import { Field, TextField } from "@/components/field";
import type { Values } from "@/format/merge";
import { useEditableDomains } from "@/session/use-editable-domains";

interface Props {
  values: Values;
  onChange: (changes: Values) => void;
  errors: Record<string, string>;
  /** The saved domain, which is offered also if the user cannot place pipelines in it. */
  domain: { id: string; name: string } | null;
}

/** The name of the pipeline and what else belongs to no side and no stream. */
export function GeneralFields({ values, onChange, errors, domain }: Props) {
  const editable = useEditableDomains("pipelines.edit");
  const domains = [...editable, ...(domain && !editable.some(({ id }) => id === domain.id) ? [domain] : [])];
  const text = (field: string) => ({
    value: String(values[field]),
    error: errors[field],
    onChange: ({ target }: { target: { value: string } }) => onChange({ [field]: target.value }),
  });
  return (
    <section aria-label="General" className="card grid min-w-0 content-start gap-4 p-4 sm:grid-cols-2">
      <TextField
        label="Name"
        required
        maxLength={120}
        {...text("name")}
        error={errors.name ?? (String(values.name).trim() === "" ? "This field is required." : null)}
      />
      <TextField label="Tags" optional hint="Separate tags with commas." {...text("tags")} />
      <div className="sm:col-span-2">
        <Field label="Description" optional error={errors.description}>
          {(control) => (
            <textarea
              className="control"
              rows={2}
              maxLength={1000}
              {...control}
              value={String(values.description)}
              onChange={({ target }) => onChange({ description: target.value })}
            />
          )}
        </Field>
      </div>
      {domains.length > 1 && (
        <Field
          label="Domain"
          hint="Members with a role in the domain can edit the pipeline."
          error={errors.domain_id}
        >
          {(control) => (
            <select
              className="control"
              {...control}
              value={(values.domain_id as string | null) ?? ""}
              onChange={({ target }) => onChange({ domain_id: target.value || null })}
            >
              {domains.map(({ id, name }) => (
                <option key={id} value={id ?? ""}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <div data-setting="timeout_seconds">
        <TextField
          label="Time limit of a run, in minutes"
          type="number"
          min={1}
          max={7 * 1440}
          step="any"
          {...text("timeout_minutes")}
        />
      </div>
      <TextField
        label="Attempts of a run"
        hint="How often a run tries again by itself after an error that may pass, the first try included."
        type="number"
        min={1}
        max={10}
        {...text("max_attempts")}
      />
    </section>
  );
}
