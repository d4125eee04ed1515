import { useId, useState } from "react";
import { Field, TextField } from "@/components/field";
import type { JsonRecord } from "./transcript";
import type { EditableFields, EditField, EditGroup } from "./edit-fields";
import { ScheduleField, timeZoneOf, wordsOf } from "./schedule-field";
import { valueAt, withValue } from "./edit-values";

/** The arguments while the user edits them. */
export interface EditedArguments {
  values: JsonRecord;
  /** The arguments as they were when the form was opened. */
  original: JsonRecord;
  /** The paths of the groups that the user leaves out. */
  removed: ReadonlySet<string>;
  /** The words of the schedules that the user has changed, by path. The server reads them before they are sent. */
  schedules: Readonly<Record<string, string>>;
}

interface Props {
  editable: EditableFields;
  edited: EditedArguments;
  /** The messages at fields, by path. */
  messages: Record<string, string>;
  onChange: (edited: EditedArguments) => void;
}

export function ArgumentsForm({ editable, ...props }: Props) {
  const { fields, groups, legend } = editable;
  return (
    <div className="grid min-w-0 gap-3">
      <EditFields fields={fields} {...props} />
      {groups.length > 0 && (
        <fieldset className="grid min-w-0 gap-2">
          <legend className="mb-2 text-[0.8125rem] font-medium">{legend}</legend>
          {groups.map((group) => (
            <EditGroupView key={group.path} group={group} {...props} />
          ))}
        </fieldset>
      )}
    </div>
  );
}

type PartProps = Omit<Props, "editable">;

/** A part with a check box that leaves it out, and its fields, which are folded unless one of them has an error. */
function EditGroupView({ group, ...props }: PartProps & { group: EditGroup }) {
  const id = useId();
  const { edited, messages, onChange } = props;
  const isKept = !edited.removed.has(group.path);
  const [isOpen, setIsOpen] = useState(false);
  const hasError = Object.keys(messages).some((path) => path.startsWith(`${group.path}.`));
  function toggle() {
    const removed = new Set(edited.removed);
    if (!removed.delete(group.path)) removed.add(group.path);
    onChange({ ...edited, removed });
  }
  return (
    <div className="min-w-0 rounded-control border border-line px-2.5 py-2">
      <div className="flex min-w-0 items-start gap-2">
        <input id={id} type="checkbox" className="mt-1" checked={isKept} onChange={toggle} />
        <label htmlFor={id} className="min-w-0 flex-1 wrap-anywhere">
          <span className="font-medium">{group.title}</span>{" "}
          <span className="text-xs text-faint">{group.detail}</span>
        </label>
      </div>
      {isKept && group.fields.length > 0 && (
        <details
          open={isOpen || hasError}
          onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}
          className="mt-1 pl-5.5"
        >
          <summary className="text-[0.8125rem] text-soft">
            Change it<span className="sr-only">: {group.title}</span>
          </summary>
          <div className="mt-2 grid gap-3">
            <EditFields fields={group.fields} {...props} />
          </div>
        </details>
      )}
    </div>
  );
}

function EditFields({ fields, ...props }: PartProps & { fields: EditField[] }) {
  return fields.map((field) => <EditFieldView key={field.path} field={field} {...props} />);
}

function EditFieldView({ field, edited, messages, onChange }: PartProps & { field: EditField }) {
  const value = valueAt(edited.values, field.path);
  const error = messageAt(messages, field);
  function change(next: unknown) {
    onChange({ ...edited, values: withValue(edited.values, field.path, next) as JsonRecord });
  }
  if (field.kind === "schedule") {
    return (
      <ScheduleField
        label={field.label}
        words={edited.schedules[field.path] ?? wordsOf(value)}
        timezone={timeZoneOf(value)}
        error={error}
        onChange={(words) => onChange({ ...edited, schedules: { ...edited.schedules, [field.path]: words } })}
      />
    );
  }
  if (field.kind === "choice" || field.kind === "yes_no") {
    return <ChoiceField field={field} value={value} error={error} onChange={change} />;
  }
  return <TypedField field={field} value={value} error={error} onChange={change} />;
}

/** The message at the field, or at a part of its value such as `schedule.cron`. */
function messageAt(messages: Record<string, string>, field: EditField): string | null {
  const found = Object.entries(messages).find(([path]) => isWithin(path, field));
  return found?.[1] ?? null;
}

export function isWithin(path: string, field: EditField): boolean {
  return path === field.path || path.startsWith(`${field.path}.`);
}

interface FieldProps {
  field: EditField;
  value: unknown;
  error: string | null;
  onChange: (value: unknown) => void;
}

function ChoiceField({ field, value, error, onChange }: FieldProps) {
  if (field.kind === "yes_no") {
    return (
      <Field label={field.label} error={error}>
        {(control) => (
          <input
            {...control}
            type="checkbox"
            className="justify-self-start"
            checked={value === true}
            onChange={({ target }) => onChange(target.checked)}
          />
        )}
      </Field>
    );
  }
  return (
    <Field label={field.label} hint={field.hint} error={error}>
      {(control) => (
        <select
          {...control}
          className="control"
          value={String(value ?? "")}
          onChange={({ target }) => onChange(target.value || (field.empty ?? ""))}
        >
          {Object.entries(field.choices ?? {}).map(([choice, words]) => (
            <option key={choice} value={choice}>
              {words}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function TypedField({ field, value, error, onChange }: FieldProps) {
  const { label, hint, kind, empty } = field;
  const isOptional = empty !== undefined || kind === "names";
  function read(text: string): unknown {
    if (kind === "names") return text.split(",").map((name) => name.trimStart());
    if (text === "" && isOptional) return empty;
    return kind === "number" && text !== "" ? Number(text) : text;
  }
  return (
    <TextField
      label={label}
      hint={hint}
      error={error}
      optional={isOptional}
      required={!isOptional}
      type={kind === "number" ? "number" : "text"}
      spellCheck={false}
      value={Array.isArray(value) ? value.join(kind === "names" ? ", " : ",") : String(value ?? "")}
      onChange={({ target }) => onChange(read(target.value))}
    />
  );
}
