interface Sides {
  source: { connector_id?: string | null };
  destination: { connector_id?: string | null };
}

/** The classes of failures that the settings of a connector can cause, and the sides whose settings may be wrong. */
const SIDES_BY_CLASS: Record<string, (keyof Sides)[]> = {
  authentication: ["source", "destination"],
  configuration: ["source", "destination"],
  rate_limit: ["source", "destination"],
  source: ["source"],
  destination: ["destination"],
};

/** Returns the ids of the saved connectors that the user may have to change or test after this failure. */
export function connectorsToOpen(failureClass: string, config: Sides): string[] {
  const sides = SIDES_BY_CLASS[failureClass] ?? [];
  return sides.flatMap((side) => config[side].connector_id ?? []);
}
