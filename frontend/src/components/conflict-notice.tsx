import { useEffect, useId, useRef, useState } from "react";
import type { Values } from "@/format/merge";
import { Button } from "./button";
import type { Edits } from "./use-edits";

interface Props {
  edits: Edits;
  saved: Values;
  /** Who has saved meanwhile, if that is known. */
  author?: string | null;
  labelOf: (field: string) => string;
  textOf: (field: string, value: unknown) => string;
  isSaving: boolean;
  /** Whether the user has just tried to save. Then the notice gets the focus, but not while the user types. */
  takesFocus: boolean;
  onSave: (values: Values) => void;
  /** The user has decided, and saves later. */
  onContinue: () => void;
}

/**
 * Shown if somebody else has saved other values while the user was editing. The changes of both are kept. Where both have
 * changed the same field, both values are shown, and the user chooses one.
 */
export function ConflictNotice({
  edits,
  saved,
  author = null,
  labelOf,
  textOf,
  isSaving,
  takesFocus,
  onSave,
  onContinue,
}: Props) {
  const { conflicts, theirs } = edits.comparison;
  const [keptSaved, setKeptSaved] = useState<string[]>([]);
  const titleId = useId();
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (takesFocus) section.current?.focus();
  }, [takesFocus]);
  const who = author ?? "Somebody else";
  function choose(field: string, keepsSaved: boolean) {
    setKeptSaved((fields) => [...fields.filter((other) => other !== field), ...(keepsSaved ? [field] : [])]);
  }
  return (
    <section
      ref={section}
      tabIndex={-1}
      role="alert"
      aria-labelledby={titleId}
      className="grid min-w-0 gap-3 rounded-card border border-line bg-wait-wash p-4"
    >
      <div>
        <h2 id={titleId} className="font-semibold">
          {who} has saved other settings while you were editing
        </h2>
        <p className="text-soft">
          Nothing that you typed is lost.{" "}
          {conflicts.length > 0
            ? "You have both changed the fields below: choose which value to keep."
            : "You have not changed the same fields, so the changes of both are kept."}
        </p>
      </div>
      {conflicts.map((field) => (
        <fieldset key={field} className="grid min-w-0 gap-1.5">
          <legend className="text-[0.8125rem] font-medium">{labelOf(field)}</legend>
          <div className="grid min-w-0 gap-2 sm:grid-cols-2">
            <Choice
              group={`${titleId}-${field}`}
              title="Keep yours"
              text={textOf(field, edits.values[field])}
              checked={!keptSaved.includes(field)}
              onChoose={() => choose(field, false)}
            />
            <Choice
              group={`${titleId}-${field}`}
              title="Take theirs"
              text={textOf(field, saved[field])}
              checked={keptSaved.includes(field)}
              onChoose={() => choose(field, true)}
            />
          </div>
        </fieldset>
      ))}
      {theirs.length > 0 && (
        <div className="text-[0.8125rem]">
          <p className="font-medium">Changed by {author ?? "the other person"} only</p>
          <ul className="text-soft">
            {theirs.map((field) => (
              <li key={field} className="wrap-anywhere">
                {labelOf(field)}: {textOf(field, saved[field])}
              </li>
            ))}
          </ul>
        </div>
      )}
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={isSaving ? "Saving" : null}
          onClick={() => onSave(edits.rebase(new Set(keptSaved)))}
        >
          {conflicts.length > 0 ? "Save the chosen values" : "Save the changes of both"}
        </Button>
        <Button
          onClick={() => {
            edits.rebase(new Set(keptSaved));
            onContinue();
          }}
        >
          Continue editing
        </Button>
        <Button
          look="quiet"
          onClick={() => {
            edits.discard();
            onContinue();
          }}
        >
          Discard my changes
        </Button>
      </div>
    </section>
  );
}

interface ChoiceProps {
  group: string;
  title: string;
  text: string;
  checked: boolean;
  onChoose: () => void;
}

function Choice({ group, title, text, checked, onChoose }: ChoiceProps) {
  return (
    <label className="flex min-w-0 cursor-pointer items-start gap-2 rounded-card border border-line bg-surface p-2.5 has-checked:border-live">
      <input type="radio" name={group} className="mt-1" checked={checked} onChange={onChoose} />
      <span className="min-w-0">
        <span className="block text-[0.8125rem] font-medium">{title}</span>
        <span className="block max-h-40 overflow-auto font-mono text-[0.78rem] wrap-anywhere whitespace-pre-wrap text-soft">
          {text || "(empty)"}
        </span>
      </span>
    </label>
  );
}
