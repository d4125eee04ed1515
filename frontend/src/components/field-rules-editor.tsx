import { useId } from "react";
import {
  TREATMENTS,
  TYPES,
  treatmentOf,
  withTreatment,
  type FieldRule,
  type FieldRules,
  type Treatment,
} from "@/format/fields";
import { Button } from "./button";
import { Field } from "./field";

interface Props {
  fields: FieldRules;
  onChange: (fields: FieldRules) => void;
  /** The names of the stream's fields, as suggestions. */
  known: string[];
  /** Whether the known fields are those of one stream, so that all of them can be added at once. */
  canAddAll?: boolean;
  error?: string | null;
}

/** Lets the user choose which fields of a stream arrive, with which names and types, and which are unreadable. */
export function FieldRulesEditor({ fields, onChange, known, canAddAll = true, error }: Props) {
  const listId = useId();
  const { rules, others } = fields;
  const suggested = known.filter((name) => !rules.some(({ field }) => field === name));
  const changeRule = (number: number, rule: FieldRule) =>
    onChange({ ...fields, rules: rules.map((each, index) => (index === number ? rule : each)) });
  return (
    <div className="grid min-w-0 gap-3">
      <p className="text-soft">
        Hashed values stay equal where they were equal, so tables can still be joined. Redacted values are all
        the same text. Both are replaced before anything is stored. The rules apply before the transform.
      </p>
      {rules.length > 0 && (
        <ol className="grid gap-2">
          {rules.map((rule, number) => (
            <li key={number}>
              <RuleFields
                number={number}
                rule={rule}
                listId={listId}
                onChange={(changed) => changeRule(number, changed)}
                onRemove={() => onChange({ ...fields, rules: rules.filter((_, index) => index !== number) })}
              />
            </li>
          ))}
        </ol>
      )}
      <datalist id={listId}>
        {suggested.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <div className="flex flex-wrap items-end gap-3">
        <Button size="small" onClick={() => onChange({ ...fields, rules: [...rules, { field: "" }] })}>
          Add a field
        </Button>
        {canAddAll && suggested.length > 0 && (
          <Button
            size="small"
            look="quiet"
            onClick={() =>
              onChange({ ...fields, rules: [...rules, ...suggested.map((field) => ({ field }))] })
            }
          >
            Add all fields ({suggested.length})
          </Button>
        )}
        <div className="ml-auto">
          <Field label="Other fields">
            {(control) => (
              <select
                className="control"
                {...control}
                value={others}
                onChange={({ target }) =>
                  onChange({ ...fields, others: target.value as FieldRules["others"] })
                }
              >
                <option value="keep">Keep</option>
                <option value="drop">Drop, also new ones</option>
              </select>
            )}
          </Field>
        </div>
      </div>
      {error && (
        <p role="alert" className="text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

interface RuleProps {
  number: number;
  rule: FieldRule;
  listId: string;
  onChange: (rule: FieldRule) => void;
  onRemove: () => void;
}

function RuleFields({ number, rule, listId, onChange, onRemove }: RuleProps) {
  const treatment = treatmentOf(rule);
  const label = rule.field || `Field ${number + 1}`;
  return (
    <div
      role="group"
      aria-label={label}
      className="grid gap-2 rounded-card border border-line p-2 sm:grid-cols-[minmax(0,1.4fr)_minmax(0,0.8fr)_minmax(0,1.2fr)_minmax(0,1.2fr)_auto] sm:items-end"
    >
      <Field label="Field">
        {(control) => (
          <input
            className="control"
            {...control}
            list={listId}
            value={rule.field}
            maxLength={200}
            spellCheck={false}
            onChange={({ target }) => onChange({ ...rule, field: target.value })}
          />
        )}
      </Field>
      <Field label="Values">
        {(control) => (
          <select
            className="control"
            {...control}
            value={treatment}
            onChange={({ target }) => onChange(withTreatment(rule, target.value as Treatment))}
          >
            {Object.entries(TREATMENTS).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="New name" optional>
        {(control) => (
          <input
            className="control"
            {...control}
            value={rule.name ?? ""}
            maxLength={200}
            spellCheck={false}
            disabled={treatment === "drop"}
            onChange={({ target }) => onChange({ ...rule, name: target.value || undefined })}
          />
        )}
      </Field>
      <Field label="Type">
        {(control) => (
          <select
            className="control"
            {...control}
            value={rule.type ?? ""}
            disabled={treatment !== "keep"}
            onChange={({ target }) =>
              onChange({ ...rule, type: (target.value || undefined) as FieldRule["type"] })
            }
          >
            <option value="">As in the source</option>
            {Object.entries(TYPES).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Button look="quiet" aria-label={`Remove the rule for ${label}`} onClick={onRemove}>
        Remove
      </Button>
    </div>
  );
}
