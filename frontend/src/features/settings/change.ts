import type { AuditEvent } from "@/api/types";
import { nameInWords } from "@/format/name";

/** Returns the name of the actor, and of the person for whom it acted. */
export function actorInWords(event: Pick<AuditEvent, "actor_label" | "on_behalf_of">): string {
  const person = event.on_behalf_of;
  return person ? `${event.actor_label} for ${person.name}` : event.actor_label;
}

/** Describes one change of an audit event. A change is `[before, after]` or a single value. */
export function changeInWords(field: string, change: unknown): string {
  const name = nameInWords(field);
  if (!Array.isArray(change) || change.length !== 2) return `${name}: ${valueInWords(change)}`;
  const [before, after] = change as [unknown, unknown];
  if (isEmpty(after)) return `${name} removed (was ${valueInWords(before)})`;
  if (isEmpty(before)) return `${name} set to ${valueInWords(after)}`;
  return `${name} changed from ${valueInWords(before)} to ${valueInWords(after)}`;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === "";
}

function valueInWords(value: unknown): string {
  if (isEmpty(value)) return "nothing";
  return typeof value === "string" ? value : JSON.stringify(value);
}
