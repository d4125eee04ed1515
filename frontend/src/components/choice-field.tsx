import { Field } from "./field";

interface Props<Value extends string> {
  label: string;
  hint?: string;
  error?: string;
  /** The text of each choice. */
  words: { [Choice in Value]?: string };
  value: Value;
  onChange: (value: Value) => void;
  autoFocus?: boolean;
}

/** One of a few choices. */
export function ChoiceField<Value extends string>({
  words,
  value,
  onChange,
  autoFocus,
  ...field
}: Props<Value>) {
  return (
    <Field {...field}>
      {(control) => (
        <select
          className="control"
          {...control}
          autoFocus={autoFocus}
          value={value}
          onChange={({ target }) => onChange(target.value as Value)}
        >
          {Object.entries<string | undefined>(words).map(([choice, text]) => (
            <option key={choice} value={choice}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
