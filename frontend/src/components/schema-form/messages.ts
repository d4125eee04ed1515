import type { Messages } from "./validation";

export function isAtOrBelow(key: string, path: string): boolean {
  return key === path || key.startsWith(`${path}.`);
}

/** Returns what a control shows that has one field for its whole value: its own message, or those of its entries. */
export function messageFor(errors: Messages, path: string): string | undefined {
  if (errors[path]) return errors[path];
  const entries = Object.keys(errors).filter((key) => isAtOrBelow(key, path));
  return (
    entries.map((key) => `${entryName(key.slice(path.length + 1))}: ${errors[key]}`).join(" ") || undefined
  );
}

/** Counts entries as the lines of a form, from 1. */
function entryName(key: string): string {
  return /^\d+$/.test(key) ? `Line ${Number(key) + 1}` : key;
}
