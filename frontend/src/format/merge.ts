/** The values of a form by field. Two values are the same if they have the same JSON. */
export type Values = Record<string, unknown>;

/** How the user's values differ from those that somebody else has saved meanwhile. */
export interface Comparison {
  /** Fields that both have changed, differently. */
  conflicts: string[];
  /** Fields that only the other person has changed. */
  theirs: string[];
}

export function isSame(one: unknown, other: unknown): boolean {
  return asJson(one) === asJson(other);
}

/** The JSON of a value, with the keys of objects in alphabetical order. */
function asJson(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}

/** Whether two values of a field are the same. */
export type IsSame = (one: unknown, other: unknown) => boolean;

/** The fields whose values differ. */
export function changedFields(before: Values, after: Values, same: IsSame = isSame): string[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return fields.filter((field) => !same(before[field], after[field]));
}

/** Compares what the user has made of `base` with what is saved now. */
export function compare(base: Values, mine: Values, saved: Values, same: IsSame = isSame): Comparison {
  const theirs = changedFields(base, saved, same);
  const isConflict = (field: string) => !same(mine[field], base[field]) && !same(mine[field], saved[field]);
  return {
    conflicts: theirs.filter(isConflict),
    theirs: theirs.filter((field) => same(mine[field], base[field])),
  };
}

/**
 * The saved values with the user's changes. Of a conflict it keeps the saved value if `keepSaved` has the field. A field
 * that somebody else has removed stays removed.
 */
export function mergeValues(
  base: Values,
  mine: Values,
  saved: Values,
  keepSaved: Set<string>,
  same: IsSame = isSame,
): Values {
  const isRemoved = (field: string) => field in base && !(field in saved);
  const ownFields = changedFields(base, mine, same).filter(
    (field) => !isRemoved(field) && !keepSaved.has(field),
  );
  return { ...saved, ...Object.fromEntries(ownFields.map((field) => [field, mine[field]])) };
}
