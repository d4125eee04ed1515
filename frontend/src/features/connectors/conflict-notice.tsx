import { useEffect, useRef } from "react";
import type { DomainChoice } from "@/api/types";
import { Button } from "@/components/button";
import { WarningIcon } from "@/components/icons";
import type { Schema } from "@/components/schema-form/schema";
import { settingsInWords } from "@/components/schema-form/settings-in-words";
import { nameInWords } from "@/format/name";
import { isSame } from "@/components/schema-form/merge-patch";
import { fieldOf, type Conflict, type ConnectorValues } from "./values";

interface Props {
  conflicts: Conflict[];
  /** The fields that only somebody else has changed. */
  taken: string[];
  values: ConnectorValues;
  schema: Schema;
  domains: DomainChoice[];
  onChoose: (field: string, value: unknown) => void;
}

/** Says what somebody else has saved meanwhile, and lets the user choose where both have changed the same field. */
export function ConflictNotice({ conflicts, taken, values, schema, domains, onChoose }: Props) {
  const notice = useRef<HTMLDivElement>(null);
  useEffect(() => notice.current?.focus(), []); // it is above the form, and the user is at its end
  const words = { schema, domains };
  return (
    <div
      ref={notice}
      tabIndex={-1}
      role="alert"
      className="grid gap-3 rounded-card border border-line bg-wait-wash px-4 py-3"
    >
      <p className="flex gap-2 font-medium">
        <WarningIcon className="mt-0.5 shrink-0 text-wait" />
        Somebody else saved a change of this connector while you were editing it. Nothing that you typed is
        lost.
      </p>
      {taken.length > 0 && (
        <p>Also changed, and shown below: {taken.map((field) => titleOf(field, words.schema)).join(", ")}.</p>
      )}
      {conflicts.map(({ field, mine, theirs }) => (
        <fieldset key={field} className="grid gap-1.5">
          <legend className="mb-1 font-medium">
            {titleOf(field, schema)}: you both changed it. Which value do you want to save?
          </legend>
          <Value
            label="Keep yours"
            text={valueInWords(field, mine, words)}
            isChosen={isSame(fieldOf(values, field), mine)}
            onChoose={() => onChoose(field, mine)}
          />
          <Value
            label="Take theirs"
            text={valueInWords(field, theirs, words)}
            isChosen={isSame(fieldOf(values, field), theirs)}
            onChoose={() => onChoose(field, theirs)}
          />
        </fieldset>
      ))}
      <p className="text-soft">Check the settings, then save again.</p>
    </div>
  );
}

interface ValueProps {
  label: string;
  text: string;
  isChosen: boolean;
  onChoose: () => void;
}

function Value({ label, text, isChosen, onChoose }: ValueProps) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
      <Button size="small" look={isChosen ? "primary" : "plain"} aria-pressed={isChosen} onClick={onChoose}>
        {label}
      </Button>
      <span className="min-w-0 wrap-anywhere whitespace-pre-line">{text}</span>
    </div>
  );
}

interface Words {
  schema: Schema;
  domains: DomainChoice[];
}

function titleOf(field: string, schema: Schema): string {
  if (field === "domain_id") return "Domain";
  const key = settingKey(field);
  if (key === null) return nameInWords(field);
  const [line] = settingsInWords(schema, { [key]: " " });
  return line?.title ?? nameInWords(key);
}

function valueInWords(field: string, value: unknown, { schema, domains }: Words): string {
  if (field === "domain_id")
    return domains.find(({ id }) => id === value)?.name ?? (value === null ? "No domain" : "Another domain");
  const key = settingKey(field);
  if (key === null) return String(value) || "Empty";
  const lines = settingsInWords(schema, { [key]: value });
  if (lines.length === 0) return "Not set";
  return lines.length === 1 ? lines[0]!.text : lines.map(({ title, text }) => `${title}: ${text}`).join("\n");
}

/** The name of the setting, or null for a field that is not a setting. */
function settingKey(field: string): string | null {
  return field.startsWith("config.") ? field.slice("config.".length) : null;
}
