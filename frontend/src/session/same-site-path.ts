/** Whether this is a path on this site. A full URL must be refused, because it could lead to another site. Browsers remove
 * tabs and line breaks from addresses, so these are refused too. */
export function isSameSitePath(path: unknown): path is string {
  return typeof path === "string" && /^\/(?![/\\])[^\t\n\r]*$/.test(path);
}
