import { useId, useState } from "react";
import { Button } from "@/components/button";
import { Field } from "@/components/field";
import { PlusIcon } from "@/components/icons";
import {
  constantsOf,
  fieldsOf,
  isObject,
  optionIndex,
  shapeOf,
  type Config,
  type FieldShape,
  type FormField,
  type Schema,
} from "./schema";
import { Checkbox, Control, MapInput, TextWithCode } from "./setting-inputs";

interface FormProps {
  schema: Schema;
  root?: Schema;
  value: Config;
  onChange: (value: Config) => void;
  /** Error messages by the paths that the server uses, such as `config.port`. */
  errors: Record<string, string>;
  path?: string;
}

/** Settings that nearly everybody looks for. They are never collapsed, although they are optional. */
const NEVER_COLLAPSED = new Set(["port", "auth", "authentication", "path"]);

/** A form for settings. More than two optional settings are collapsed, unless one of them has an error. */
export function SchemaForm({ schema, root = schema, value, onChange, errors, path = "" }: FormProps) {
  const [open, setOpen] = useState(false); // so that the settings stay open after an error is corrected
  const fields = fieldsOf(schema, root);
  const optionalFields = fields.filter(
    (field) => !field.required && !NEVER_COLLAPSED.has(field.name) && !isPassword(field, root),
  );
  const collapsedFields = optionalFields.length > 2 ? optionalFields : [];
  const visibleFields = fields.filter((field) => !collapsedFields.includes(field));
  const pathOf = (name: string) => (path ? `${path}.${name}` : name);
  const hasError = collapsedFields.some(({ name }) =>
    Object.keys(errors).some((key) => isAtOrBelow(key, pathOf(name))),
  );
  const renderField = (field: FormField) => (
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
      {visibleFields.map(renderField)}
      {collapsedFields.length > 0 && (
        <details
          open={open || hasError}
          onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
          className="rounded-card border border-line"
        >
          <summary className="rounded-card px-3 py-2 text-soft hover:bg-hover">
            {visibleFields.length > 0 ? "More settings" : "Optional settings"}{" "}
            <span className="text-faint">{collapsedFields.length}</span>
          </summary>
          <div className="grid gap-4 border-t border-line p-3">{collapsedFields.map(renderField)}</div>
        </details>
      )}
    </div>
  );
}

/** Whether the setting is a password. It is never collapsed, because it belongs beside the user name. */
function isPassword({ name, schema }: FormField, root: Schema): boolean {
  const shape = shapeOf(name, schema, root);
  return shape.kind === "secret" && !shape.nullable;
}

function isAtOrBelow(key: string, path: string): boolean {
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
    return (
      <UnionField
        shape={shape}
        required={field.required}
        root={root}
        value={value}
        onChange={onChange}
        errors={errors}
        path={path}
      />
    );
  }
  if (shape.kind === "list") {
    return (
      <Group title={shape.title} description={shape.description} error={errors[path]}>
        <ListItems
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
        <MapInput
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
      hint={shape.description && <TextWithCode text={shape.description} />}
      error={errors[path]}
      optional={!field.required}
    >
      {(control) => <Control shape={shape} control={control} value={value} onChange={onChange} />}
    </Field>
  );
}

interface GroupProps {
  title: string;
  description: string | null;
  error?: string;
  children: React.ReactNode;
}

function Group({ title, description, error, children }: GroupProps) {
  const id = useId();
  return (
    <fieldset
      aria-describedby={error ? id : undefined}
      className="grid gap-3 rounded-card border border-line p-3"
    >
      <legend className="px-1 text-[0.8125rem] font-medium">{title}</legend>
      {description && (
        <p className="text-xs text-faint">
          <TextWithCode text={description} />
        </p>
      )}
      {children}
      {error && (
        <p id={id} className="text-xs text-bad">
          {error}
        </p>
      )}
    </fieldset>
  );
}

type UnionProps = Omit<FieldProps, "field"> & {
  required: boolean;
  shape: Extract<FieldShape, { kind: "union" }>;
};

function UnionField({ shape, required, root, value, onChange, errors, path }: UnionProps) {
  const noneIndex = shape.options.findIndex((option) => option.title === "None");
  const selectedIndex = optionIndex(value ?? shape.defaultValue, shape.options);
  const shownIndex = selectedIndex < 0 && !shape.nullable && !required ? noneIndex : selectedIndex;
  const option = shape.options[shownIndex];
  const unsetLabel = !shape.nullable ? "Choose…" : noneIndex < 0 ? "None" : "Not set";
  return (
    <Group title={shape.title} description={shape.description} error={errors[path]}>
      <select
        aria-label={shape.title}
        className="control"
        value={shownIndex}
        onChange={({ target }) => {
          const next = shape.options[Number(target.value)];
          onChange(next ? constantsOf(next.schema, root) : undefined);
        }}
      >
        {(shape.nullable || noneIndex < 0 || required) && <option value={-1}>{unsetLabel}</option>}
        {shape.options.map(({ title }, index) => (
          <option key={index} value={index}>
            {title}
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

interface ItemsProps extends Omit<FormProps, "value" | "onChange"> {
  title: string;
  root: Schema;
  value: unknown[];
  onChange: (value: unknown[] | undefined) => void;
  path: string;
}

/** A list of objects with the same fields, such as the streams of an API. */
function ListItems({ title, schema, root, value, onChange, errors, path }: ItemsProps) {
  const changeItems = (next: unknown[]) => onChange(next.length > 0 ? next : undefined);
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
            onChange={(next) => changeItems(value.map((current, i) => (i === index ? next : current)))}
            errors={errors}
            path={`${path}.${index}`}
          />
          <div>
            <Button
              size="small"
              aria-label={`Remove ${title} ${index + 1}`}
              onClick={() => changeItems(value.filter((_, i) => i !== index))}
            >
              Remove
            </Button>
          </div>
        </fieldset>
      ))}
      <div>
        <Button size="small" aria-label={`Add to ${title}`} onClick={() => changeItems([...value, {}])}>
          <PlusIcon className="-ml-0.5" />
          Add
        </Button>
      </div>
    </>
  );
}
