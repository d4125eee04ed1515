import { useState } from "react";
import { formatBytes } from "@/format/number";
import { Field, TextField } from "./field";

const UNITS = { MB: 1e6, GB: 1e9, TB: 1e12 } as const;
type Unit = keyof typeof UNITS;

/** The largest unit in which the size is a whole number, or else MB. An empty field begins with GB. */
function unitOf(bytes: number): Unit {
  if (bytes === 0) return "GB";
  const units: Unit[] = ["TB", "GB"];
  return units.find((unit) => bytes % UNITS[unit] === 0) ?? "MB";
}

interface Props {
  label: string;
  /** A number of bytes as text, or empty. */
  value: string;
  onChange: (value: string) => void;
  /** What an empty field means. It is shown instead of the field if the value cannot be changed. */
  whenEmpty: string;
  readOnly?: boolean;
  error?: string | null;
}

/** A size that is typed with its unit, such as 250 GB. */
export function BytesField({ label, value, onChange, whenEmpty, readOnly = false, error }: Props) {
  const [unit, setUnit] = useState(() => unitOf(Number(value)));
  if (readOnly)
    return (
      <TextField label={label} value={value && formatBytes(Number(value))} placeholder={whenEmpty} readOnly />
    );
  const amount = value === "" ? "" : Number(value) / UNITS[unit];

  function change(text: string, newUnit: Unit) {
    onChange(text === "" ? "" : String(Math.round(Number(text) * UNITS[newUnit])));
  }
  return (
    <Field
      label={label}
      error={error}
      action={
        <select
          aria-label={`Unit of ${label}`}
          className="control w-auto!"
          value={unit}
          onChange={({ target }) => {
            const newUnit = target.value as Unit;
            setUnit(newUnit);
            change(String(amount), newUnit);
          }}
        >
          {Object.keys(UNITS).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      }
    >
      {(control) => (
        <input
          {...control}
          type="number"
          min={0}
          step="any"
          className="control"
          value={amount}
          onChange={({ target }) => change(target.value, unit)}
        />
      )}
    </Field>
  );
}
