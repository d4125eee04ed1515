interface Kind {
  config_schema: unknown;
  secret_paths: string[];
}

interface Failure {
  class: string;
  message: string;
  evidence: string[];
}

/** Returns the setting of the connector that the failure is about, if it names one: for a wrong password, the password. */
export function fieldToChange({ config_schema, secret_paths }: Kind, failure: Failure): string | null {
  const text = [failure.message, ...failure.evidence.slice(0, 3)].join("\n").toLowerCase();
  const schema = config_schema as { properties?: Record<string, unknown> } | null;
  const names = Object.keys(schema?.properties ?? {});
  const secrets = secret_paths.filter((path) => names.includes(path));
  const named = (candidates: string[]) =>
    candidates.find((name) => new RegExp(`(?<![a-z])${name.replaceAll("_", "[_ ]")}(?![a-z])`).test(text));
  if (failure.class === "authentication") return named(secrets) ?? secrets[0] ?? null;
  return failure.class === "configuration" ? (named(names) ?? null) : null;
}
