/** The transforms of a pipeline's stream, from the text of one editor. */
export function transformsOf(code: string) {
  return code.trim() === "" ? [] : [{ kind: "python" as const, code }];
}
