/** What api.md promises, by hand, until the types are generated from the OpenAPI document. */
import type { Schedule } from "@/format/schedule";

export interface User { id: string; email: string; name: string }
export interface Organization { id: string; name: string; slug?: string; role?: string }
export type Permission = "pipelines.run" | "pipelines.edit" | "runs.cancel" | "connectors.edit";
export interface Session {
  access: string;
  expires_in: number;
  user: User;
  organization: Organization & { permissions: Permission[] };
  organizations?: Organization[];
}
export type RunStatus = "pending" | "running" | "succeeded" | "failed" | "cancelled";
interface Named { id: string; name: string }
export interface LastRun { id: string; status: RunStatus; finished_at: string | null; records: number | null }
export interface PipelineRow {
  id: string;
  name: string;
  enabled: boolean;
  domain: Named | null;
  source_kind: string;
  destination_kind: string;
  stream: string;
  tags: string[];
  schedule: (Schedule & { paused_at: string | null; paused_note: string }) | null;
  next_run_at: string | null;
  last_run: LastRun | null;
}
export interface Pipeline extends PipelineRow { description?: string; version: number }
export interface PipelineVersion { number: number; created_at: string; created_by: string | null; note?: string }
export interface Progress {
  read: number;
  written: number;
  rejected: number;
  bytes: number;
  iterations: number;
  total: number | null;
  rate: number | null;
  eta_seconds: number | null;
}
export interface Failure { class: string; message: string; evidence: string[]; retryable: boolean; next_step: string }
export interface Attempt { number: number; status: string; started_at: string; finished_at: string | null; failure: Failure | null }
export interface Run {
  id: string;
  pipeline: Named;
  status: RunStatus;
  trigger: string;
  triggered_by: string | null;
  attempt: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  waiting_reason: string | null;
  place_in_line: number | null;
  cancel_requested: boolean;
  log_lines: number;
  progress: Progress | null;
  failure: Failure | null;
  attempts?: Attempt[];
}
export interface LogLine { at: string; level: "debug" | "info" | "warning" | "error"; message: string; fields?: Record<string, unknown> }
export interface LogPage { offset: number; lines: LogLine[]; next_offset: number | null; total: number }
export interface Output { name: string; bytes: number; rows: number; media_type: string }
export interface CheckStep { step: string; ok: boolean; message: string; ms: number }
export interface StreamInfo {
  name: string;
  fields: { name: string; type: string; nullable?: boolean }[];
  primary_key: string[];
  cursor_fields: string[];
  sync_modes: string[];
}
export interface CatalogueEntry {
  kind: string;
  name: string;
  description: string;
  config_schema: unknown;
  streams: { name: string; sync_modes: string[] }[];
  sync_modes: string[];
  write_modes: string[];
}
export interface Connector { id: string; name: string; kind: string; role: "source" | "destination" }
interface StreamsAnswer { ok: boolean; streams: StreamInfo[]; failure: { failure_class: string; message: string; evidence: string[] } | null }
export interface Preview { records: Record<string, unknown>[]; fields: { name: string; type: string }[]; ms: number }

type Answer<S extends number, R> = { [K in S]: { headers: Record<string, string>; content: { "application/json": R } } };
type Key = { "Idempotency-Key"?: string };
type Body<B> = { content: { "application/json": B } };
type None = undefined;
interface Get<R, P = None, Q = None> { parameters: P extends undefined ? { query?: Q } : { path: P; query?: Q }; responses: Answer<200, R> }
interface Post<R, B = None, P = None> {
  parameters: P extends undefined ? { header?: Key } : { path: P; header?: Key };
  requestBody?: Body<B>;
  responses: Answer<200, R>;
}
interface Page<T> { results: T[]; next: string | null; previous: string | null; count: number | null }
type Id = { id: string };
type CheckAnswer = { ok: boolean; steps: CheckStep[] };

export interface paths {
  "/api/v1/auth/login": { post: Post<Session, { email: string; password: string }> };
  "/api/v1/auth/register": {
    post: Post<Session, { email: string; password: string; name: string; organization_name: string }>;
  };
  "/api/v1/auth/logout": { post: Post<unknown, object> };
  "/api/v1/auth/switch": { post: Post<Session, { org: string }> };
  "/api/v1/pipelines": {
    get: Get<Page<PipelineRow>, None, { cursor?: string; limit?: number; q?: string; status?: RunStatus; tag?: string }>;
    post: Post<Pipeline, object>;
  };
  "/api/v1/pipelines/preview": { post: Post<Preview, object> };
  "/api/v1/pipelines/{id}": { get: Get<Pipeline, Id> };
  "/api/v1/pipelines/{id}/versions": { get: Get<Page<PipelineVersion>, Id> };
  "/api/v1/pipelines/{id}/enable": { post: Post<Pipeline, object, Id> };
  "/api/v1/pipelines/{id}/disable": { post: Post<Pipeline, object, Id> };
  "/api/v1/pipelines/{id}/run": { post: Post<Run, object, Id> };
  "/api/v1/pipelines/{id}/preview": { post: Post<Preview, { max_records: number }, Id> };
  "/api/v1/runs": { get: Get<Page<Run>, None, { cursor?: string; limit?: number; pipeline?: string; status?: RunStatus }> };
  "/api/v1/runs/{id}": { get: Get<Run, Id> };
  "/api/v1/runs/{id}/cancel": { post: Post<Run, object, Id> };
  "/api/v1/runs/{id}/retry": { post: Post<Run, object, Id> };
  "/api/v1/runs/{id}/logs": { get: Get<LogPage, Id, { offset?: number; limit?: number; level?: string }> };
  "/api/v1/runs/{id}/outputs": { get: Get<Page<Output>, Id> };
  "/api/v1/catalog/sources": { get: Get<Page<CatalogueEntry>> };
  "/api/v1/catalog/destinations": { get: Get<Page<CatalogueEntry>> };
  "/api/v1/connectors": { get: Get<Page<Connector>, None, { role?: "source" | "destination" }>; post: Post<Connector, object> };
  "/api/v1/connectors/check": { post: Post<CheckAnswer, object> };
  "/api/v1/connectors/{id}/check": { post: Post<CheckAnswer, object, Id> };
  "/api/v1/connectors/{id}/streams": { get: Get<StreamsAnswer, Id> };
}
