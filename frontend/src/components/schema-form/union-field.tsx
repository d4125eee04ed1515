import { useState, type ReactNode } from "react";
import { OptionTabs } from "./option-tabs";
import { constantsOf, optionIndex, type FieldShape, type Schema, type UnionOption } from "./schema";

interface Props {
  shape: Extract<FieldShape, { kind: "union" }>;
  required: boolean;
  root: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  /** Renders the fields of the chosen option. */
  children: (option: UnionOption) => ReactNode;
}

/** One of several groups of settings. What the user has entered for an option stays while another one is chosen. */
export function UnionField({ shape, required, root, value, onChange, children }: Props) {
  const [entered, setEntered] = useState<Record<number, unknown>>({});
  const { options, nullable, defaultValue } = shape;
  const noneIndex = options.findIndex(({ title }) => title === "None");
  const canBeUnset = nullable || (!required && noneIndex < 0);
  const chosen = optionIndex(value ?? defaultValue, options);
  const shown = chosen < 0 && !canBeUnset && !required ? noneIndex : chosen;
  const option = options[shown];
  const unset = noneIndex < 0 ? "None" : "Not set";
  const titles = [...(canBeUnset ? [unset] : []), ...options.map(({ title }) => title)];
  const first = canBeUnset ? 1 : 0; // the tab of the first option

  if (required && options.length === 1) return children(options[0]!); // There is nothing to choose.
  function select(tab: number) {
    const next = options[tab - first];
    if (chosen >= 0) setEntered({ ...entered, [chosen]: value });
    onChange(next ? (entered[tab - first] ?? constantsOf(next.schema, root)) : undefined);
  }
  return (
    <OptionTabs
      label={shape.title}
      options={titles}
      selected={shown < 0 ? (canBeUnset ? 0 : -1) : shown + first}
      onSelect={select}
    >
      {option && children(option)}
    </OptionTabs>
  );
}
