import { Field } from "./field";

interface Props {
  value: string;
  onChange: (zone: string) => void;
  error?: string;
}

/** One of the time zones that the browser knows. */
export function TimeZoneField({ value, onChange, error }: Props) {
  return (
    <Field label="Time zone" error={error}>
      {(control) => (
        <select
          className="control"
          {...control}
          value={value}
          onChange={({ target }) => onChange(target.value)}
        >
          {timeZones(value).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

function timeZones(current: string): string[] {
  return [...new Set(["UTC", current, ...Intl.supportedValuesOf("timeZone")])];
}
