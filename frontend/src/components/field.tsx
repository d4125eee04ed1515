import { useId, type InputHTMLAttributes, type ReactNode } from "react";

interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | null;
  optional?: boolean;
  /** A button beside the control. The messages are shown below both. */
  action?: ReactNode;
  /** Renders the control with the attributes that link it to its label, hint and error. */
  children: (control: {
    id: string;
    "aria-describedby": string | undefined;
    "aria-invalid": boolean | undefined;
  }) => ReactNode;
}

/** A form field with a label, a hint and an error. With `w-0 min-w-full` a long message does not widen the field. */
export function Field({ label, hint, error, optional, action, children }: FieldProps) {
  const id = useId();
  const describedBy = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const control = children({
    id,
    "aria-describedby": describedBy || undefined,
    "aria-invalid": error ? true : undefined,
  });
  return (
    <div className="grid content-start gap-1">
      <label htmlFor={id} className="text-[0.8125rem] font-medium">
        {label} {optional && <span className="ml-0.5 font-normal text-faint">optional</span>}
      </label>
      {action ? (
        <div className="flex min-w-0 gap-2">
          {control}
          {action}
        </div>
      ) : (
        control
      )}
      {hint && (
        <p id={`${id}-hint`} className="w-0 min-w-full text-xs text-faint">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="w-0 min-w-full text-xs text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

type TextFieldProps = Omit<FieldProps, "children"> & InputHTMLAttributes<HTMLInputElement>;

export function TextField({ label, hint, error, optional, action, ...input }: TextFieldProps) {
  return (
    <Field label={label} hint={hint} error={error} optional={optional} action={action}>
      {(control) => (
        <input
          dir="auto"
          className="control"
          {...control}
          {...input}
          placeholder={input.placeholder ?? (input.readOnly ? "Not set" : undefined)}
        />
      )}
    </Field>
  );
}
