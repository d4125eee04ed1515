import { isMaskedSecret, isObject } from "@/components/schema-form/schema";

interface Kind {
  config_schema: unknown;
  secret_paths: string[];
}

interface Failure {
  class: string;
  message: string;
  evidence: string[];
}

/**
 * Returns the path of the setting that the failure is about, if it names one: for a wrong password, the password. `config`
 * are the settings as the server shows them, which tells what secrets are set.
 */
export function fieldToChange({ config_schema, secret_paths }: Kind, failure: Failure, config: unknown) {
  const text = [failure.message, ...failure.evidence.slice(0, 3)].join("\n").toLowerCase();
  const schema = config_schema as { properties?: Record<string, unknown> } | null;
  const names = Object.keys(schema?.properties ?? {});
  const named = (candidates: string[]) =>
    candidates.find((path) => {
      const name = path.split(".").at(-1)!.replaceAll("_", "[_ ]");
      return new RegExp(`(?<![a-z])${name}(?![a-z])`).test(text);
    });
  if (failure.class === "authentication") {
    const set = setSecrets(config);
    const possible = secret_paths.filter((path) => names.includes(path));
    return named(set) ?? set[0] ?? named(possible) ?? possible[0] ?? null;
  }
  return failure.class === "configuration" ? (named(names) ?? null) : null;
}

/** The paths of the secrets that have a value, such as `auth.token`. */
function setSecrets(value: unknown, path = ""): string[] {
  if (isMaskedSecret(value)) return value.set ? [path] : [];
  if (Array.isArray(value)) return value.flatMap((item, index) => setSecrets(item, `${path}.${index}`));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => setSecrets(inner, path ? `${path}.${name}` : name));
}
