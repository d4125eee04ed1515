/** One item of each kind, as the API shows it. Tests change the names. */
import type {
  Connector,
  CustomSource,
  Organization,
  Pipeline,
  PipelineRow,
  Run,
  RunComparison,
  RunRow,
  ToolRequest,
} from "@/api/types";
import { ID, OTHER_ID } from "./pages";

const TIME = "2026-03-01T06:00:00Z";

export const ROW: PipelineRow = {
  id: ID,
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
  created_at: TIME,
  updated_at: TIME,
};

export const PIPELINE = {
  ...ROW,
  timeout_seconds: 3600,
  max_attempts: 3,
  warnings: [],
  config: {
    source: { connector_id: null, kind: "postgres", config: { host: "db" } },
    streams: [
      {
        stream: "flights",
        table: "flights",
        sync_mode: "full_refresh",
        cursor_field: null,
        primary_key: [],
        write_mode: "replace",
        transforms: [],
      },
    ],
    destination: { connector_id: null, kind: "parquet", config: {} },
  },
} as unknown as Pipeline;

export const RUN = {
  id: ID,
  pipeline: { id: ID, name: "Flights" },
  domain_id: null,
  version: 3,
  status: "failed",
  trigger: "schedule",
  kind: "ordinary",
  triggered_by: null,
  triggered_by_name: null,
  schedule_id: null,
  slot: null,
  replay_of: null,
  upstream_runs: [],
  attempt: 2,
  max_attempts: 3,
  waiting_reason: null,
  place_in_line: null,
  not_before: null,
  cancel_requested: false,
  timeout_seconds: 21600,
  created_at: TIME,
  started_at: TIME,
  finished_at: TIME,
  duration_seconds: 60,
  progress: {
    read: 0, written: 0, rejected: 0, skipped: 0, bytes: 0, iterations: 0, total: null, rate: null, eta_seconds: null, at: null,
  }, // prettier-ignore
  failure: {
    class: "source",
    message: "the connection was lost",
    evidence: [],
    retryable: true,
    next_step: "Test the source's connector, then retry.",
    sides: ["source"],
  },
  streams_total: 1,
  streams_failed: 1,
  streams_succeeded: 0,
  event_sequence: 9,
  log_lines: 40,
  attempts: [],
  records_readable: true,
} as unknown as Run;

export const COMPARISON: RunComparison = {
  run: RUN as unknown as RunRow,
  other: { ...RUN, id: OTHER_ID, status: "succeeded" } as unknown as RunRow,
  changes: [],
  streams: [],
  streams_total: 1,
  only_in_run: [],
  only_in_other: [],
};

export const CONNECTOR = {
  id: ID,
  name: "Shop",
  role: "source",
  kind: "postgres",
  description: "",
  domain: null,
  check_ok: null,
  checked_at: null,
  worked_at: null,
  created_at: TIME,
  updated_at: TIME,
  pipeline_count: 0,
  config: { host: "db.example.com" },
  version: 1,
} as unknown as Connector;

export const KIND = {
  kind: "postgres",
  name: "PostgreSQL",
  description: "A database.",
  config_schema: { type: "object", properties: { host: { type: "string", title: "Host" } } },
};

export const SOURCE = {
  id: ID,
  name: "Weather",
  description: "",
  archived: false,
  repository_id: null,
  latest_version: 1,
  approved_version: 1,
  version: { number: 1, code: "records = []", approved: true },
} as unknown as CustomSource;

export const REQUEST: ToolRequest = {
  id: ID,
  state: "open",
  tool: "create_pipelines",
  title: "Create pipelines",
  key_name: "laptop",
  arguments: {},
  card: { title: "Create pipelines", facts: [], changes: [], warnings: [], streams: [] },
  reason: "",
  ok: null,
  summary: "",
  created_at: TIME,
  decided_at: null,
  expires_at: TIME,
} as unknown as ToolRequest;

export const ORGANIZATION = {
  id: "o1",
  name: "Acme",
  slug: "acme",
  max_running: 5,
  max_pipelines: null,
  max_members: null,
  max_rows_month: null,
  max_bytes_month: null,
  keep_logs_days: null,
  keep_events_days: null,
  keep_runs_days: null,
  keep_audit_days: null,
  require_second_factor: false,
  require_sso: false,
  email_domains: [],
  networks: [],
  suspended_at: null,
  suspended_because: "",
  deletion_at: null,
  created_at: TIME,
  updated_at: TIME,
} as unknown as Organization;

/** The items by the paths of the API. */
export const ITEMS: Record<string, object> = {
  [`/api/v1/pipelines/${ID}`]: PIPELINE,
  [`/api/v1/runs/${ID}`]: RUN,
  [`/api/v1/runs/${ID}/compare/${OTHER_ID}`]: COMPARISON,
  [`/api/v1/connectors/${ID}`]: CONNECTOR,
  "/api/v1/catalog/sources": { results: [KIND] },
  "/api/v1/catalog/sources/postgres": KIND,
  [`/api/v1/custom-sources/${ID}`]: SOURCE,
  [`/api/v1/agent/tool-requests/${ID}`]: REQUEST,
  "/api/v1/org": ORGANIZATION,
};
