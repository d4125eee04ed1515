import { useState } from "react";
import { changedFields, compare, isSame, mergeValues, type IsSame, type Values } from "@/format/merge";

interface Draft {
  /** The saved values when the user began to edit. */
  base: Values;
  values: Values;
}

/**
 * The values of a form that the user edits. Until the first change they follow what is saved. From then on they stay as the
 * user has typed them, also if somebody else saves: `comparison` then says which fields the other person has changed.
 */
export function useEdits(saved: Values, same: IsSame = isSame) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const [resets, setResets] = useState(0);
  const [shown, setShown] = useState(saved);
  if (!draft && !isSame(shown, saved)) {
    setShown(saved); // somebody else has saved, and this user has not changed anything
    setResets(resets + 1);
  }
  const base = draft?.base ?? saved;
  const values = draft?.values ?? saved;
  const changed = changedFields(base, values, same);
  const comparison = compare(base, values, saved, same);
  return {
    base,
    values,
    /** The fields that the user has changed. */
    changed,
    /** Changes when other values replace those of the form. Fields that keep a text of their own begin anew then. */
    formKey: resets,
    comparison,
    /** Whether somebody else has saved other values while the user was editing. */
    isOutdated: changed.length > 0 && comparison.conflicts.length + comparison.theirs.length > 0,
    change: (changes: Values) =>
      setDraft((current) => {
        const before = current ?? { base: saved, values: saved };
        const next = { ...before.values, ...changes };
        return changedFields(before.base, next).length === 0 ? null : { ...before, values: next };
      }),
    discard: () => {
      setDraft(null);
      setResets(resets + 1);
    },
    /** Ends the editing after the values were saved. */
    finish: () => {
      setDraft(null);
      setShown(values);
    },
    /** Goes on from what is saved now, with the user's changes except those of `keepSaved`. Returns the values. */
    rebase: (keepSaved: Set<string>): Values => {
      const merged = mergeValues(base, values, saved, keepSaved, same);
      setDraft(isSame(merged, saved) ? null : { base: saved, values: merged });
      setResets(resets + 1);
      return merged;
    },
  };
}

export type Edits = ReturnType<typeof useEdits>;
