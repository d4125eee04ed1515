import type { AuditEvent } from "@/api/types";
import { nameInWords } from "@/format/name";

/** Who did it: a person, or a program and the person it acted for. */
export function actorInWords(event: Pick<AuditEvent, "actor_label" | "on_behalf_of">): string {
  const person = event.on_behalf_of;
  return person ? `${event.actor_label} for ${person.name}` : event.actor_label;
}

/** One entry of an audit event's changes: `[before, after]`, or a plain value. */
export function changeInWords(field: string, change: unknown): string {
  const name = nameInWords(field);
  if (!Array.isArray(change) || change.length !== 2) return `${name}: ${shown(change)}`;
  const [before, after] = change as [unknown, unknown];
  if (isEmpty(after)) return `${name} removed (was ${shown(before)})`;
  if (isEmpty(before)) return `${name} set to ${shown(after)}`;
  return `${name} changed from ${shown(before)} to ${shown(after)}`;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === "";
}

function shown(value: unknown): string {
  if (isEmpty(value)) return "nothing";
  return typeof value === "string" ? value : JSON.stringify(value);
}
