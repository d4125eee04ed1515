import type { ReactNode, Ref } from "react";
import { fieldMessages } from "@/api/problem";
import { changedFields, type Values } from "@/format/merge";
import { Button } from "./button";
import { ConflictNotice } from "./conflict-notice";
import { SaveError } from "./save-error";
import { plainInWords, secretInWords } from "./schema-form/settings-in-words";
import { useEdits } from "./use-edits";

/** What the fields of the form show, and how they change it. */
export interface FormFields {
  values: Values;
  /** The saved values when the user began to edit. */
  base: Values;
  change: (changes: Values) => void;
  /** The server's messages by field. */
  messages: Record<string, string>;
}

interface Props {
  saved: Values;
  /** The mutation that sends the changes with the version that the page shows. After a 412 it fetches the object again. */
  save: { isPending: boolean; isError: boolean; error: unknown; reset: () => void };
  /** Sends the values. Calls `done` when they are saved. */
  onSave: (values: Values, changed: string[], done: () => void) => void;
  labels: Record<string, string>;
  /** The value in words, if the fields need other words than the usual ones. */
  textOf?: (field: string, value: unknown) => string | undefined;
  /** The fields whose values are never shown. */
  secrets?: string[];
  canEdit?: boolean;
  saveLabel?: string;
  /** Further buttons beside that which saves. */
  actions?: (fields: FormFields) => ReactNode;
  /** What is shown below the buttons. */
  below?: ReactNode;
  onEdit?: () => void;
  title?: string;
  className?: string;
  ref?: Ref<HTMLFormElement>;
  children: (fields: FormFields) => ReactNode;
}

/**
 * A form that saves its changes only over the version that the user has seen. What was typed stays if somebody else saves
 * first: the user then chooses a value for each field that both have changed.
 */
export function VersionedForm({
  saved,
  save,
  onSave,
  labels,
  textOf,
  secrets = [],
  canEdit = true,
  saveLabel = "Save",
  actions,
  below,
  onEdit,
  title,
  className = "max-w-xl",
  ref,
  children,
}: Props) {
  const edits = useEdits(saved);
  const hasConflict = !save.isPending && edits.isOutdated;
  const messages = fieldMessages(save.error);
  const fields: FormFields = { values: edits.values, base: edits.base, change, messages };

  function change(changes: Values) {
    edits.change(changes);
    if (!save.isPending) save.reset();
    onEdit?.();
  }
  function submit(values: Values) {
    onSave(values, changedFields(saved, values), edits.finish);
  }
  function inWords(field: string, value: unknown): string {
    if (secrets.includes(field)) return secretInWords(value);
    return textOf?.(field, value) ?? plainInWords(value ?? "");
  }
  return (
    <div className={`grid gap-4 ${className}`}>
      {hasConflict && (
        <ConflictNotice
          edits={edits}
          saved={saved}
          labelOf={(field) => labels[field] ?? field}
          textOf={inWords}
          isSaving={save.isPending}
          takesFocus={save.isError}
          onSave={submit}
          onContinue={save.reset}
        />
      )}
      <form
        ref={ref}
        aria-label={title}
        className="grid gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (!save.isPending && !hasConflict) submit(edits.values);
        }}
      >
        {children(fields)}
        {save.error !== null && Object.keys(messages).length === 0 && (
          <SaveError error={save.error} hasConflict={hasConflict} />
        )}
        {canEdit && (
          <div className="flex flex-wrap gap-2">
            <Button type="submit" look="primary" disabledReason={reasonNotToSave(edits, save.isPending)}>
              {saveLabel}
            </Button>
            {actions?.(fields)}
          </div>
        )}
        {below}
      </form>
    </div>
  );
}

function reasonNotToSave(
  { changed, isOutdated }: ReturnType<typeof useEdits>,
  isSaving: boolean,
): string | null {
  if (isSaving) return "Saving";
  if (isOutdated) return "First decide about what somebody else has saved";
  return changed.length === 0 ? "Nothing has changed" : null;
}
