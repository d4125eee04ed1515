const LABELS: Record<string, string> = {
  configuration: "Configuration",
  authentication: "Authentication",
  rate_limit: "Rate limit",
  source: "Source",
  destination: "Destination",
  contract: "Data contract",
  timeout: "Timeout",
  memory: "Memory",
  crashed: "Crash",
  internal: "Internal error",
};

/** The class of a failure in words. */
export function failureClassLabel(failureClass: string): string {
  return LABELS[failureClass] ?? failureClass;
}
