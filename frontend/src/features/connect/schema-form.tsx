import { useState } from "react";
import { Button } from "@/components/button";
import { Field } from "@/components/field";
import { LockIcon, PlusIcon, CrossIcon } from "@/components/icons";
import {
  constantsOf,
  fieldsOf,
  isObject,
  isSetMarker,
  optionOf,
  shapeOf,
  type Config,
  type FieldShape,
  type FormField,
  type Schema,
} from "./schema";

interface FormProps {
  schema: Schema;
  root?: Schema;
  value: Config;
  onChange: (value: Config) => void;
  /** Messages by path, as the server names fields. */
  errors: Record<string, string>;
  path?: string;
}

/** Settings as a form: what is required first, the rest folded away unless it has an error. */
export function SchemaForm({ schema, root = schema, value, onChange, errors, path = "" }: FormProps) {
  const fields = fieldsOf(schema, root);
  const foldable = fields.filter((field) => !field.required && !isLogin(field, root));
  const folded = foldable.length > 2 ? foldable : [];
  const shown = fields.filter((field) => !folded.includes(field));
  const pathOf = (name: string) => (path ? `${path}.${name}` : name);
  const wrong = folded.some(({ name }) => Object.keys(errors).some((key) => isAt(key, pathOf(name))));
  const render = (field: FormField) => (
    <SchemaField
      key={field.name}
      field={field}
      root={root}
      value={value[field.name]}
      onChange={(next) => onChange({ ...constantsOf(schema, root), ...value, [field.name]: next })}
      errors={errors}
      path={pathOf(field.name)}
    />
  );
  return (
    <div className="grid gap-4">
      {shown.map(render)}
      {folded.length > 0 && (
        <details open={wrong || undefined} className="rounded-card border border-line">
          <summary className="rounded-card px-3 py-2 text-soft hover:bg-hover">
            {shown.length > 0 ? "More settings" : "Settings, all optional"}{" "}
            <span className="text-faint">{folded.length}</span>
          </summary>
          <div className="grid gap-4 border-t border-line p-3">{folded.map(render)}</div>
        </details>
      )}
    </div>
  );
}

/** A password that may be empty still belongs beside the user name. */
function isLogin({ name, schema }: FormField, root: Schema): boolean {
  const shape = shapeOf(name, schema, root);
  return shape.kind === "secret" && !shape.nullable;
}

function isAt(key: string, path: string): boolean {
  return key === path || key.startsWith(`${path}.`);
}

interface FieldProps {
  field: FormField;
  root: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  errors: Record<string, string>;
  path: string;
}

function SchemaField({ field, root, value, onChange, errors, path }: FieldProps) {
  const shape = shapeOf(field.name, field.schema, root);
  if (shape.kind === "group") {
    return (
      <Group title={shape.title} description={shape.description} error={errors[path]}>
        <SchemaForm
          schema={shape.schema}
          root={root}
          value={isObject(value) ? value : {}}
          onChange={onChange}
          errors={errors}
          path={path}
        />
      </Group>
    );
  }
  if (shape.kind === "union") {
    return <Union shape={shape} root={root} value={value} onChange={onChange} errors={errors} path={path} />;
  }
  if (shape.kind === "list") {
    return (
      <Group title={shape.title} description={shape.description} error={errors[path]}>
        <Items
          title={shape.title}
          schema={shape.schema}
          root={root}
          value={Array.isArray(value) ? value : []}
          onChange={onChange}
          errors={errors}
          path={path}
        />
      </Group>
    );
  }
  if (shape.kind === "switch") {
    return <Checkbox shape={shape} value={value} onChange={onChange} error={errors[path]} />;
  }
  if (shape.kind === "map") {
    return (
      <Group title={shape.title} description={shape.description} error={errors[path]}>
        <MapRows
          title={shape.title}
          value={isObject(value) ? value : {}}
          secret={shape.secret}
          onChange={onChange}
        />
      </Group>
    );
  }
  return (
    <Field
      label={shape.title}
      hint={shape.description && <WithCode text={shape.description} />}
      error={errors[path]}
      optional={!field.required}
    >
      {(control) => <Control shape={shape} control={control} value={value} onChange={onChange} />}
    </Field>
  );
}

/** What descriptions put between backticks. */
function WithCode({ text }: { text: string }) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

interface GroupProps {
  title: string;
  description: string | null;
  error?: string;
  children: React.ReactNode;
}

function Group({ title, description, error, children }: GroupProps) {
  return (
    <fieldset className="grid gap-3 rounded-card border border-line p-3">
      <legend className="px-1 text-[0.8125rem] font-medium">{title}</legend>
      {description && (
        <p className="text-xs text-faint">
          <WithCode text={description} />
        </p>
      )}
      {children}
      {error && <p className="text-xs text-bad">{error}</p>}
    </fieldset>
  );
}

type UnionProps = Omit<FieldProps, "field"> & { shape: Extract<FieldShape, { kind: "union" }> };

function Union({ shape, root, value, onChange, errors, path }: UnionProps) {
  const chosen = optionOf(value ?? shape.fallback, shape.options);
  const option = shape.options[chosen];
  return (
    <Group title={shape.title} description={shape.description} error={errors[path]}>
      <select
        aria-label={shape.title}
        className="control"
        value={chosen}
        onChange={({ target }) => {
          const next = shape.options[Number(target.value)];
          onChange(next ? constantsOf(next.schema, root) : undefined);
        }}
      >
        <option value={-1}>{shape.nullable ? "None" : "Choose…"}</option>
        {shape.options.map((each, index) => (
          <option key={index} value={index}>
            {each.title}
          </option>
        ))}
      </select>
      {option && (
        <SchemaForm
          schema={option.schema}
          root={root}
          value={isObject(value) ? value : {}}
          onChange={onChange}
          errors={errors}
          path={path}
        />
      )}
    </Group>
  );
}

interface ControlProps {
  shape: FieldShape;
  control: object;
  value: unknown;
  onChange: (value: unknown) => void;
}

function Control({ shape, control, value, onChange }: ControlProps) {
  const fallback = placeholderOf(shape);
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
          placeholder={fallback}
          onChange={({ target }) => onChange(target.value)}
        />
      );
    case "number":
      return (
        <input
          className="control"
          type="number"
          step={shape.whole ? 1 : "any"}
          min={shape.minimum ?? undefined}
          max={shape.maximum ?? undefined}
          {...control}
          value={asText(value)}
          placeholder={fallback}
          onChange={({ target }) => onChange(target.value === "" ? undefined : Number(target.value))}
        />
      );
    case "choice":
      return <Choice shape={shape} control={control} value={value} onChange={onChange} />;
    case "texts":
      return <TextsInput control={control} value={value} fallback={shape.fallback} onChange={onChange} />;
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
          placeholder={fallback}
          onChange={({ target }) => onChange(target.value)}
        />
      );
  }
}

function placeholderOf({ fallback, example }: FieldShape): string | undefined {
  if (fallback !== undefined && fallback !== null && fallback !== "") return String(fallback);
  return example === null ? undefined : `Such as ${example}`;
}

function asText(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function Choice({
  shape,
  control,
  value,
  onChange,
}: ControlProps & { shape: Extract<FieldShape, { kind: "choice" }> }) {
  const unset = shape.fallback === undefined || shape.fallback === null;
  return (
    <select
      className="control"
      {...control}
      value={asText(value ?? shape.fallback)}
      onChange={({ target }) => onChange(shape.choices.find((choice) => String(choice) === target.value))}
    >
      {(unset || shape.nullable) && <option value="">{shape.nullable ? "None" : "Choose…"}</option>}
      {shape.choices.map((choice) => (
        <option key={choice}>{choice}</option>
      ))}
    </select>
  );
}

interface InputProps {
  control: object;
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Write-only: what is stored is never shown, only that it is there and how it ends. */
function SecretInput({ control, value, onChange }: InputProps) {
  const [stored] = useState(() => (isSetMarker(value) && value.set ? value : null));
  if (isSetMarker(value) && value.set) {
    return (
      <div className="flex items-center gap-2">
        <span className="control flex items-center gap-2 bg-hover! text-soft!">
          <LockIcon className="shrink-0 text-faint" />
          {value.last4 ? `Set, ends with ${value.last4}` : "Set"}
        </span>
        <Button onClick={() => onChange("")}>Replace</Button>
      </div>
    );
  }
  return (
    <div className="flex items-center gap-2">
      <input
        className="control"
        type="password"
        autoComplete="new-password"
        {...control}
        value={typeof value === "string" ? value : ""}
        onChange={({ target }) => onChange(target.value)}
      />
      {stored && <Button onClick={() => onChange(stored)}>Keep</Button>}
    </div>
  );
}

/** A list of short texts, one a line. */
function TextsInput({ control, value, fallback, onChange }: InputProps & { fallback: unknown }) {
  const [raw, setRaw] = useState(() => (Array.isArray(value) ? value.join("\n") : ""));
  return (
    <textarea
      className="control"
      rows={Math.min(6, Math.max(2, raw.split("\n").length))}
      {...control}
      value={raw}
      placeholder={Array.isArray(fallback) && fallback.length > 0 ? fallback.join("\n") : "One a line"}
      onChange={({ target }) => {
        setRaw(target.value);
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
  const [raw, setRaw] = useState(() => (value === undefined ? "" : JSON.stringify(value, null, 2)));
  const [wrong, setWrong] = useState(false);
  function type(next: string) {
    setRaw(next);
    try {
      onChange(next.trim() === "" ? undefined : JSON.parse(next));
      setWrong(false);
    } catch {
      setWrong(true); // said below the field; the last good value stays
    }
  }
  return (
    <>
      <textarea
        className="control font-mono text-[0.78rem]!"
        rows={Math.min(12, Math.max(3, raw.split("\n").length))}
        spellCheck={false}
        placeholder="JSON"
        {...control}
        value={raw}
        onChange={({ target }) => type(target.value)}
      />
      {wrong && <p className="text-xs text-bad">This is not JSON yet.</p>}
    </>
  );
}

interface CheckboxProps {
  shape: FieldShape;
  value: unknown;
  onChange: (value: unknown) => void;
  error?: string;
}

function Checkbox({ shape, value, onChange, error }: CheckboxProps) {
  return (
    <div>
      <label className="flex items-start gap-2">
        <input
          type="checkbox"
          className="mt-1 size-4 accent-live"
          checked={Boolean(value ?? shape.fallback)}
          onChange={({ target }) => onChange(target.checked)}
        />
        <span>
          <span className="text-[0.8125rem] font-medium">{shape.title}</span>
          {shape.description && (
            <span className="block text-xs text-faint">
              <WithCode text={shape.description} />
            </span>
          )}
        </span>
      </label>
      {error && <p className="text-xs text-bad">{error}</p>}
    </div>
  );
}

interface ItemsProps extends Omit<FormProps, "value" | "onChange"> {
  title: string;
  root: Schema;
  value: unknown[];
  onChange: (value: unknown[] | undefined) => void;
  path: string;
}

/** Several objects of one shape, such as the streams of an API. */
function Items({ title, schema, root, value, onChange, errors, path }: ItemsProps) {
  const put = (next: unknown[]) => onChange(next.length > 0 ? next : undefined);
  return (
    <>
      {value.map((item, index) => (
        <fieldset key={index} className="grid gap-3 rounded-card border border-line p-3">
          <legend className="px-1 text-xs text-faint">
            {title} {index + 1}
          </legend>
          <SchemaForm
            schema={schema}
            root={root}
            value={isObject(item) ? item : {}}
            onChange={(next) => put(value.map((old, other) => (other === index ? next : old)))}
            errors={errors}
            path={`${path}.${index}`}
          />
          <div>
            <Button
              size="small"
              aria-label={`Remove ${title} ${index + 1}`}
              onClick={() => put(value.filter((_, other) => other !== index))}
            >
              Remove
            </Button>
          </div>
        </fieldset>
      ))}
      <div>
        <Button size="small" aria-label={`Add to ${title}`} onClick={() => put([...value, {}])}>
          <PlusIcon className="-ml-0.5" />
          Add
        </Button>
      </div>
    </>
  );
}

interface MapProps {
  title: string;
  value: Config;
  secret: boolean;
  onChange: (value: Config | undefined) => void;
}

/** Names and values, such as HTTP headers. */
function MapRows({ title, value, secret, onChange }: MapProps) {
  const [rows, setRows] = useState<[string, unknown][]>(() => Object.entries(value));
  function change(next: [string, unknown][]) {
    setRows(next);
    const named = next.filter(([name]) => name !== "");
    onChange(named.length > 0 ? Object.fromEntries(named) : undefined);
  }
  const put = (at: number, row: [string, unknown]) =>
    change(rows.map((old, index) => (index === at ? row : old)));
  return (
    <div className="grid gap-2">
      {rows.map(([name, inner], index) => (
        <div key={index} className="flex gap-2">
          <input
            aria-label={`${title}: name ${index + 1}`}
            className="control"
            placeholder="Name"
            value={name}
            onChange={({ target }) => put(index, [target.value, inner])}
          />
          {secret ? (
            <SecretInput
              control={{ "aria-label": `${title}: value ${index + 1}` }}
              value={inner}
              onChange={(next) => put(index, [name, next])}
            />
          ) : (
            <input
              aria-label={`${title}: value ${index + 1}`}
              className="control"
              placeholder="Value"
              value={asText(inner)}
              onChange={({ target }) => put(index, [name, target.value])}
            />
          )}
          <Button
            look="quiet"
            size="icon"
            aria-label={`Remove ${name || `row ${index + 1}`}`}
            onClick={() => change(rows.filter((_, other) => other !== index))}
          >
            <CrossIcon />
          </Button>
        </div>
      ))}
      <div>
        <Button size="small" onClick={() => setRows([...rows, ["", ""]])}>
          <PlusIcon className="-ml-0.5" />
          Add
        </Button>
      </div>
    </div>
  );
}
