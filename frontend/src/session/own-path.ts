/** Whether this is a path of this site: a full address here would let a link send people to another site. */
export function isOwnPath(path: unknown): path is string {
  return typeof path === "string" && /^\/(?![/\\])/.test(path);
}
