/** What the form of a connector contains, and how it is compared with what the server has. */
import type { Connector } from "@/api/types";
import { isSame, mergePatch } from "@/components/schema-form/merge-patch";
import { withoutEmptyFields, type Config } from "@/components/schema-form/schema";
import type { ConnectorChanges } from "./queries";

export interface ConnectorValues {
  name: string;
  description: string;
  domainId: string | null;
  config: Config;
}

export function valuesOf({ name, description, domain, config }: Connector): ConnectorValues {
  return { name, description, domainId: domain?.id ?? null, config };
}

/** Returns what the server has to change. The settings are a JSON Merge Patch (RFC 7396). */
export function changesOf(before: ConnectorValues, after: ConnectorValues): ConnectorChanges {
  const config = mergePatch(withoutEmptyFields(before.config), withoutEmptyFields(after.config));
  return {
    ...(after.name.trim() !== before.name && { name: after.name.trim() }),
    ...(after.description !== before.description && { description: after.description }),
    ...(after.domainId !== before.domainId && { domain_id: after.domainId }),
    ...(Object.keys(config).length > 0 && { config }),
  };
}

/** A field that two people have changed: the user, and somebody whose change was saved first. */
export interface Conflict {
  field: string;
  mine: unknown;
  theirs: unknown;
}

interface Merged {
  values: ConnectorValues;
  conflicts: Conflict[];
  /** The fields that only the other person has changed. `values` has their new values. */
  taken: string[];
}

/**
 * Merges two changes of the same connector. `base` is what the user began to edit, `mine` what the user has typed, and
 * `theirs` what is saved now. In fields that both have changed, the result has the user's values.
 */
export function mergeValues(base: ConnectorValues, mine: ConnectorValues, theirs: ConnectorValues): Merged {
  const [before, own, other] = [fieldsOf(base), fieldsOf(mine), fieldsOf(theirs)];
  const merged: Record<string, unknown> = { ...other };
  const conflicts: Conflict[] = [];
  const taken: string[] = [];
  for (const field of new Set([...Object.keys(before), ...Object.keys(own), ...Object.keys(other)])) {
    const isMine = !isSame(before[field], own[field]);
    const isTheirs = !isSame(before[field], other[field]);
    if (isMine) merged[field] = own[field];
    if (isTheirs && !isMine) taken.push(field);
    if (isTheirs && isMine && !isSame(own[field], other[field]))
      conflicts.push({ field, mine: own[field], theirs: other[field] });
  }
  return { values: valuesOfFields(merged), conflicts, taken };
}

/** Returns the values with one field replaced. */
export function withField(values: ConnectorValues, field: string, value: unknown): ConnectorValues {
  return valuesOfFields({ ...fieldsOf(values), [field]: value });
}

export function fieldOf(values: ConnectorValues, field: string): unknown {
  return fieldsOf(values)[field];
}

const CONFIG = "config.";

/** Returns each field by its name. The settings are fields such as `config.port`. */
function fieldsOf({ name, description, domainId, config }: ConnectorValues): Record<string, unknown> {
  const settings = Object.entries(config).map(([key, value]) => [CONFIG + key, value] as const);
  return { name, description, domain_id: domainId, ...Object.fromEntries(settings) };
}

function valuesOfFields({
  name,
  description,
  domain_id,
  ...settings
}: Record<string, unknown>): ConnectorValues {
  const config = Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => [field.slice(CONFIG.length), value] as const);
  return {
    name: name as string,
    description: description as string,
    domainId: domain_id as string | null,
    config: Object.fromEntries(config),
  };
}
