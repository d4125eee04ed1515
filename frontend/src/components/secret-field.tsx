import { isMaskedSecret } from "./schema-form/schema";
import { TextField } from "./field";
import type { ComponentProps } from "react";

interface Props extends Omit<ComponentProps<typeof TextField>, "value" | "onChange" | "type"> {
  /** What the user has typed, or what the server shows of the stored secret. */
  value: unknown;
  /** What the server shows of the stored secret. It is kept if the field is empty. */
  stored: unknown;
  onChange: (value: unknown) => void;
}

/** A field for a secret. The stored secret is not shown: the field is empty until the user types another one. */
export function SecretField({ value, stored, onChange, ...field }: Props) {
  return (
    <TextField
      {...field}
      type="password"
      autoComplete="off"
      value={isMaskedSecret(value) ? "" : String(value ?? "")}
      onChange={({ target }) => onChange(target.value === "" ? stored : target.value)}
    />
  );
}

/** What to send of a secret: nothing if the user has not typed one. */
export function typedSecret(value: unknown): string | undefined {
  return typeof value === "string" ? value.trim() : undefined;
}
