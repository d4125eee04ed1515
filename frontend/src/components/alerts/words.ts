/** Alerts in words. */
import type { AlertRule, AlertRuleKind } from "@/api/types";
import { settingsInWords } from "@/components/schema-form/settings-in-words";
import { nameInWords } from "@/format/name";

/** When a rule opens an alert, such as "Several runs fail in a row (failed runs: 3)". */
export function ruleInWords(rule: AlertRule, kinds: AlertRuleKind[]): string {
  const kind = kinds.find((each) => each.kind === rule.kind);
  if (!kind) return nameInWords(rule.kind);
  const settings = settingsInWords(kind.settings, rule.settings);
  const words = settings.map(({ title, text }) => `${title.toLowerCase()}: ${text}`);
  return words.length > 0 ? `${kind.title} (${words.join(", ")})` : kind.title;
}
