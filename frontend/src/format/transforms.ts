/** The transforms of a stream in a pipeline's definition: one for the code, or none if the code is blank. */
export function transformsOf(code: string) {
  return code.trim() === "" ? [] : [{ kind: "python" as const, code }];
}
