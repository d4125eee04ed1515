import type { DomainChoice } from "@/api/types";
import { Field } from "@/components/field";

interface Props {
  domains: DomainChoice[];
  value: string | null;
  onChange: (id: string | null) => void;
  error?: string;
}

/** Lets the user choose the connector's domain. Nothing is shown if there is nothing to choose. */
export function DomainField({ domains, value, onChange, error }: Props) {
  if (domains.length < 2) return null;
  return (
    <Field label="Domain" hint="Members with a role in the domain can edit it." error={error}>
      {(control) => (
        <select
          className="control"
          {...control}
          value={value ?? ""}
          onChange={({ target }) => onChange(target.value || null)}
        >
          {domains.map(({ id, name }) => (
            <option key={id} value={id ?? ""}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
