import { useId, useState, type ReactNode } from "react";
import { Button } from "@/components/button";
import { CodeEditor } from "@/components/code-editor";
import { Field } from "@/components/field";
import { PlusIcon } from "@/components/icons";
import { MapInput } from "./map-input";
import { isAtOrBelow, messageFor } from "./messages";
import {
  constantsOf,
  fieldsOf,
  isObject,
  isSecretEntry,
  shapeOf,
  type Config,
  type FormField,
  type Schema,
  type UnionOption,
} from "./schema";
import { asText, Checkbox, Control, TextWithCode } from "./setting-inputs";
import { UnionField } from "./union-field";
import type { Messages } from "./validation";

interface FormProps {
  schema: Schema;
  root?: Schema;
  value: Config;
  onChange: (value: Config) => void;
  /** Error messages by the paths that the server uses, such as `auth.token`. */
  errors: Messages;
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
    <div
      key={field.name}
      data-setting={pathOf(field.name)}
      data-wrong={errors[pathOf(field.name)] ? "" : undefined}
      className="min-w-0"
    >
      <SchemaField
        field={field}
        root={root}
        value={value[field.name]}
        onChange={(next) => onChange({ ...constantsOf(schema, root), ...value, [field.name]: next })}
        errors={errors}
        path={pathOf(field.name)}
      />
    </div>
  );
  if (fields.length === 0) return null;
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
  const group = { title: shape.title, description: shape.description, error: errors[path] };
  const inner = { root, errors, path };
  switch (shape.kind) {
    case "group":
      return (
        <Group {...group}>
          <SchemaForm
            {...inner}
            schema={shape.schema}
            value={isObject(value) ? value : {}}
            onChange={onChange}
          />
        </Group>
      );
    case "union":
      return (
        <Group {...group} error={unionMessage(errors, path, shape.options, root)}>
          <UnionField shape={shape} required={field.required} root={root} value={value} onChange={onChange}>
            {({ schema }) => (
              <SchemaForm
                {...inner}
                schema={schema}
                value={isObject(value) ? value : {}}
                onChange={onChange}
              />
            )}
          </UnionField>
        </Group>
      );
    case "list":
      return (
        <Group {...group}>
          <ListItems
            {...inner}
            title={shape.title}
            schema={shape.schema}
            value={Array.isArray(value) ? value : []}
            onChange={onChange}
          />
        </Group>
      );
    case "switch":
      return <Checkbox shape={shape} value={value} onChange={onChange} error={errors[path]} />;
    case "map":
      return (
        <Group {...group}>
          <MapInput
            title={shape.title}
            value={isObject(value) ? value : {}}
            isSecret={(name) => isSecretEntry(shape, name)}
            onChange={onChange}
            errors={errors}
            path={path}
          />
        </Group>
      );
    case "sql":
      return (
        <SqlField
          {...group}
          error={messageFor(errors, path)}
          optional={!field.required}
          value={asText(value)}
          onChange={onChange}
        />
      );
    default:
      return (
        <Field
          label={shape.title}
          hint={shape.description && <TextWithCode text={shape.description} />}
          error={messageFor(errors, path)}
          optional={!field.required}
        >
          {(control) => <Control shape={shape} control={control} value={value} onChange={onChange} />}
        </Field>
      );
  }
}

/** The message of the choice itself, which the server may give for the constant that names the option. */
function unionMessage(
  errors: Messages,
  path: string,
  options: UnionOption[],
  root: Schema,
): string | undefined {
  const constants = options.flatMap(({ schema }) => Object.keys(constantsOf(schema, root)));
  return [path, ...constants.map((name) => `${path}.${name}`)].map((key) => errors[key]).find(Boolean);
}

interface SqlProps extends Omit<GroupProps, "children"> {
  optional: boolean;
  value: string;
  onChange: (value: string) => void;
}

function SqlField({ title, description, error, optional, value, onChange }: SqlProps) {
  const id = useId();
  return (
    <div className="grid gap-1">
      <p className="text-[0.8125rem] font-medium">
        {title} {optional && <span className="ml-0.5 font-normal text-faint">optional</span>}
      </p>
      <CodeEditor
        language="sql"
        label={title}
        value={value}
        onChange={onChange}
        messages={NO_MESSAGES}
        isInvalid={error !== undefined}
        minHeight="6rem"
        maxHeight="24rem"
      />
      {description && (
        <p className="text-xs text-faint">
          <TextWithCode text={description} />
        </p>
      )}
      {error && (
        <p id={id} role="alert" className="text-xs text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

const NO_MESSAGES: never[] = [];

interface GroupProps {
  title: string;
  description: string | null;
  error: string | undefined;
  children: ReactNode;
}

function Group({ title, description, error, children }: GroupProps) {
  const id = useId();
  return (
    <fieldset
      aria-describedby={error ? id : undefined}
      data-wrong={error ? "" : undefined}
      className="grid min-w-0 gap-3 rounded-card border border-line p-3"
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
