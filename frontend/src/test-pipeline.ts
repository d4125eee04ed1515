/** A pipeline as the API describes it, for tests. */
import type { Pipeline } from "./api/types";
import { http } from "./test-server";

export const PIPELINE: Pipeline = {
  id: "0b6a7f0e-0000-4000-8000-000000000001",
  name: "Flights",
  description: "",
  domain: null,
  tags: [],
  enabled: true,
  version: 1,
  source_kind: "postgres",
  destination_kind: "parquet",
  stream: "flights",
  stream_count: 1,
  schedule: null,
  next_run_at: null,
  last_run: null,
  freshness: "none",
  last_success_at: null,
  failing_since: null,
  late_at: null,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
  timeout_seconds: 3600,
  max_attempts: 3,
  warnings: [],
  config: {
    source: { connector_id: null, kind: "postgres", config: {} },
    streams: [],
    destination: { connector_id: null, kind: "parquet", config: {} },
  },
};

/** A pipeline that has never run has no statistics. */
export const NO_STATISTICS = http.get("/api/v1/stats/pipelines/{id}", ({ response }) =>
  response(200).json({ runs: [], days: [], since: "2026-01-01", failing: null, freshness: null }),
);

type Stream = Pipeline["config"]["streams"][number];

/** A stream that is read incrementally, and appended to a table of its name. */
export function incrementalStream(name: string, cursor_field = "id"): Stream {
  return {
    stream: name,
    table: name,
    sync_mode: "incremental",
    cursor_field,
    primary_key: [],
    write_mode: "append",
    transforms: [],
  };
}
