/** A change at the source, for tests. */
import type { SourceChange } from "@/api/types";

export const NEW_COLUMN: SourceChange = {
  id: "c1",
  run_id: "r1",
  stream: "flights",
  kind: "column_added",
  column: "gate",
  before: "",
  after: "text",
  effect: "fails_runs",
  decision: null,
  decided_by: null,
  decided_at: null,
  created_at: "2026-01-01T00:00:00Z",
};
