import { hashKey } from "@tanstack/react-query";
import { isMaskedSecret, isObject, withoutEmptyFields, type Config } from "./schema";

/** Returns the JSON Merge Patch (RFC 7396) that changes `before` to `after`: null removes a setting, a list is sent completely. */
export function mergePatch(before: Config, after: Config): Config {
  const patch: Config = {};
  for (const key of Object.keys(before)) if (!(key in after)) patch[key] = null;
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    if (isSame(old, value)) continue;
    patch[key] = isGroup(old) && isGroup(value) ? mergePatch(old, value) : value;
  }
  return patch;
}

function isGroup(value: unknown): value is Config {
  return isObject(value) && !isMaskedSecret(value);
}

/** Whether the values are equal. An empty text and an empty object are equal to a missing value. */
export function isSame(one: unknown, other: unknown): boolean {
  return hashKey([normalized(one)]) === hashKey([normalized(other)]);
}

function normalized(value: unknown): unknown {
  return withoutEmptyFields({ value }).value ?? null;
}
