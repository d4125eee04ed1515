interface VersionSearch {
  /** The version whose changes are shown. */
  version?: number;
}

export function parseVersionSearch({ version }: Record<string, unknown>): VersionSearch {
  return Number.isSafeInteger(version) && Number(version) > 0 ? { version: Number(version) } : {};
}
