/** What the form of a connector contains, and how it is compared with what the server has. */
import type { Connector, DomainChoice } from "@/api/types";
import { mergePatch } from "@/components/schema-form/merge-patch";
import { withoutEmptyFields, type Config, type Schema } from "@/components/schema-form/schema";
import { settingsInWords } from "@/components/schema-form/settings-in-words";
import type { Values } from "@/format/merge";
import { nameInWords } from "@/format/name";
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

const CONFIG = "config.";

/**
 * Returns each value by its field. The settings are fields such as `config.port`. Those of the schema are always there, so
 * that a setting which somebody else has removed is compared too.
 */
export function fieldsOf({ name, description, domainId, config }: ConnectorValues, schema: Schema): Values {
  const keys = [...Object.keys(schema.properties ?? {}), ...Object.keys(config)];
  const settings = keys.map((key) => [CONFIG + key, config[key]]);
  return { name, description, domain_id: domainId, ...Object.fromEntries(settings) };
}

/** The fields of changed settings. A setting that is no longer there has the value undefined. */
export function settingFields(before: Config, after: Config): Values {
  const keys = [...Object.keys(before), ...Object.keys(after)];
  return Object.fromEntries(keys.map((key) => [CONFIG + key, after[key]]));
}

/** The opposite of `fieldsOf`. */
export function valuesOfFields({ name, description, domain_id, ...settings }: Values): ConnectorValues {
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

/** The name of the setting, or null for a field that is not a setting. */
function settingKey(field: string): string | null {
  return field.startsWith(CONFIG) ? field.slice(CONFIG.length) : null;
}

export function titleOf(field: string, schema: Schema): string {
  if (field === "domain_id") return "Domain";
  const key = settingKey(field);
  if (key === null) return nameInWords(field);
  const [line] = settingsInWords(schema, { [key]: " " });
  return line?.title ?? nameInWords(key);
}

/** The value in words, never with a secret. */
export function valueInWords(field: string, value: unknown, schema: Schema, domains: DomainChoice[]): string {
  if (field === "domain_id")
    return domains.find(({ id }) => id === value)?.name ?? (value === null ? "No domain" : "Another domain");
  const key = settingKey(field);
  if (key === null) return String(value) || "Empty";
  const lines = settingsInWords(schema, { [key]: value });
  if (lines.length === 0) return "Not set";
  return lines.length === 1 ? lines[0]!.text : lines.map(({ title, text }) => `${title}: ${text}`).join("\n");
}
