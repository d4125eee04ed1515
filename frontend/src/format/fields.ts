/** The rules for the fields of a stream, as a form has them and in words. */
export const TYPES = {
  string: "Text",
  integer: "Integer",
  number: "Number",
  decimal: "Decimal",
  boolean: "True or false",
  date: "Date",
  timestamp: "Timestamp",
  timestamptz: "Timestamp with time zone",
} as const;

export interface FieldRule {
  field: string;
  drop?: boolean;
  name?: string;
  type?: keyof typeof TYPES;
  protect?: "hash" | "redact";
}

export interface FieldRules {
  others: "keep" | "drop";
  rules: FieldRule[];
}

export const NO_RULES: FieldRules = { others: "keep", rules: [] };

export const TREATMENTS = {
  keep: "Keep",
  hash: "Hash",
  redact: "Redact",
  drop: "Drop",
} as const;
export type Treatment = keyof typeof TREATMENTS;

export function rulesOf(fields: Partial<FieldRules> | null | undefined): FieldRules {
  return { ...NO_RULES, ...fields };
}

export function hasRules({ others, rules }: FieldRules): boolean {
  return rules.length > 0 || others === "drop";
}

export function treatmentOf(rule: FieldRule): Treatment {
  return rule.drop ? "drop" : (rule.protect ?? "keep");
}

/** The rule with another treatment. A field that does not arrive has no name, and an unreadable one no type. */
export function withTreatment({ field, name, type }: FieldRule, treatment: Treatment): FieldRule {
  if (treatment === "drop") return { field, drop: true };
  return {
    field,
    ...(name && { name }),
    ...(treatment === "keep" ? type && { type } : { protect: treatment }),
  };
}

/** The rules as lines of text, such as "mail: hash". */
export function rulesInWords(fields: FieldRules): string {
  if (!hasRules(fields)) return "All fields arrive as they are";
  const others = fields.others === "drop" ? "Other fields: drop" : "Other fields: keep";
  return [...fields.rules.map(ruleInWords), others].join("\n");
}

export function ruleInWords(rule: FieldRule): string {
  const parts = [
    TREATMENTS[treatmentOf(rule)].toLowerCase(),
    rule.name && `as ${rule.name}`,
    rule.type && TYPES[rule.type].toLowerCase(),
  ];
  return `${rule.field}: ${parts.filter(Boolean).join(", ")}`;
}

/** The server's message, with the number of the rule if it is about a rule for a field. */
export function messageOfRule(path: string, message: string): string {
  const [, number] = /\.fields\.rules\.(\d+)/.exec(path) ?? [];
  return number ? `Field ${Number(number) + 1}: ${message}` : message;
}
