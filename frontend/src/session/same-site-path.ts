/** Whether this is a path on this site. A full URL must be refused, because it could lead to another site. */
export function isSameSitePath(path: unknown): path is string {
  return typeof path === "string" && /^\/(?![/\\])/.test(path);
}
