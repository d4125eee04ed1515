import { useId, useState } from "react";
import { InvalidJson, type FieldShape } from "./schema";
import { SecretInput } from "./secret-input";
import { UploadedFileInput } from "./uploaded-file-input";

/** Shows the parts of the text between backticks as code. */
export function TextWithCode({ text }: { text: string }) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

interface ControlProps {
  shape: FieldShape;
  control: object;
  value: unknown;
  onChange: (value: unknown) => void;
}

export function Control({ shape, control, value, onChange }: ControlProps) {
  const placeholder = placeholderOf(shape);
  switch (shape.kind) {
    case "secret":
      return <SecretInput control={control} value={value} onChange={onChange} />;
    case "long-text":
      return (
        <textarea
          className="control"
          rows={4}
          {...control}
          value={asText(value)}
          placeholder={placeholder}
          onChange={({ target }) => onChange(target.value)}
        />
      );
    case "number":
      return (
        <input
          className="control"
          type="number"
          step={shape.integer ? 1 : "any"}
          min={shape.minimum ?? undefined}
          max={shape.maximum ?? undefined}
          {...control}
          value={asText(value)}
          placeholder={placeholder}
          onChange={({ target }) => onChange(target.value === "" ? undefined : Number(target.value))}
        />
      );
    case "choice":
      return <Choice shape={shape} control={control} value={value} onChange={onChange} />;
    case "uploaded-file":
      return (
        <UploadedFileInput
          control={control}
          value={asText(value)}
          placeholder={placeholder}
          onChange={onChange}
        />
      );
    case "texts":
      return (
        <TextsInput control={control} value={value} defaultValue={shape.defaultValue} onChange={onChange} />
      );
    case "json":
      return <JsonInput control={control} value={value} onChange={onChange} />;
    default:
      return (
        <input
          className="control"
          autoComplete="off"
          spellCheck={false}
          {...control}
          value={asText(value)}
          placeholder={placeholder}
          onChange={({ target }) => onChange(target.value)}
        />
      );
  }
}

function placeholderOf({ defaultValue, example }: FieldShape): string | undefined {
  if (defaultValue !== undefined && defaultValue !== null && defaultValue !== "") return String(defaultValue);
  return example === null ? undefined : `Example: ${example}`;
}

export function asText(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function Choice({
  shape,
  control,
  value,
  onChange,
}: ControlProps & { shape: Extract<FieldShape, { kind: "choice" }> }) {
  const hasDefault = shape.defaultValue !== undefined && shape.defaultValue !== null;
  return (
    <select
      className="control"
      {...control}
      value={asText(value ?? shape.defaultValue)}
      onChange={({ target }) => onChange(shape.choices.find((choice) => String(choice) === target.value))}
    >
      {(!hasDefault || shape.nullable) && <option value="">{shape.nullable ? "None" : "Choose…"}</option>}
      {shape.choices.map((choice) => (
        <option key={choice} value={choice}>
          {choice === "\t" ? "tab" : choice}
        </option>
      ))}
    </select>
  );
}

export interface InputProps {
  control: object;
  value: unknown;
  onChange: (value: unknown) => void;
}

/** An input for a list of texts, one per line. */
function TextsInput({ control, value, defaultValue, onChange }: InputProps & { defaultValue: unknown }) {
  const [text, setText] = useState(() => (Array.isArray(value) ? value.join("\n") : ""));
  return (
    <textarea
      className="control"
      rows={Math.min(6, Math.max(2, text.split("\n").length))}
      {...control}
      value={text}
      placeholder={
        Array.isArray(defaultValue) && defaultValue.length > 0 ? defaultValue.join("\n") : "One per line"
      }
      onChange={({ target }) => {
        setText(target.value);
        const entries = target.value
          .split("\n")
          .map((line) => line.trim())
          .filter(Boolean);
        onChange(entries.length > 0 ? entries : undefined);
      }}
    />
  );
}

function JsonInput({ control, value, onChange }: InputProps) {
  const id = useId();
  const [text, setText] = useState(() => asJson(value));
  const isInvalid = value instanceof InvalidJson;
  function changeText(next: string) {
    setText(next);
    onChange(parseJson(next));
  }
  return (
    <>
      <textarea
        className="control font-mono text-[0.78rem]!"
        rows={Math.min(12, Math.max(3, text.split("\n").length))}
        spellCheck={false}
        placeholder="JSON"
        {...control}
        {...(isInvalid && { "aria-invalid": true, "aria-describedby": id })}
        value={text}
        onChange={({ target }) => changeText(target.value)}
      />
      {isInvalid && (
        <p id={id} className="text-xs text-bad">
          This is not valid JSON.
        </p>
      )}
    </>
  );
}

function asJson(value: unknown): string {
  if (value instanceof InvalidJson) return value.text;
  return value === undefined ? "" : JSON.stringify(value, null, 2);
}

function parseJson(text: string): unknown {
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return new InvalidJson(text);
  }
}

interface CheckboxProps {
  shape: FieldShape;
  value: unknown;
  onChange: (value: unknown) => void;
  error?: string;
}

export function Checkbox({ shape, value, onChange, error }: CheckboxProps) {
  const id = useId();
  return (
    <div>
      <label className="flex items-start gap-2">
        <input
          type="checkbox"
          className="mt-1 size-4 accent-live"
          aria-invalid={error ? true : undefined}
          aria-describedby={error ? id : undefined}
          checked={Boolean(value ?? shape.defaultValue)}
          onChange={({ target }) => onChange(target.checked)}
        />
        <span>
          <span className="text-[0.8125rem] font-medium">{shape.title}</span>
          {shape.description && (
            <span className="block text-xs text-faint">
              <TextWithCode text={shape.description} />
            </span>
          )}
        </span>
      </label>
      {error && (
        <p id={id} className="text-xs text-bad">
          {error}
        </p>
      )}
    </div>
  );
}
