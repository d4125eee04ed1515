/** Operations that the OpenAPI document does not have yet, by hand. */
import type { components } from "./schema";

type Schemas = components["schemas"];
interface Answer<R> { 200: { headers: Record<string, string>; content: { "application/json": R } } }
interface Get<R, P = undefined> { parameters: P extends undefined ? object : { path: P }; responses: Answer<R> }
interface Post<R, B, P = undefined> {
  parameters: P extends undefined ? object : { path: P };
  requestBody: { content: { "application/json": B } };
  responses: Answer<R>;
}
type Id = { id: string };

interface Version { number: number; created_at: string; created_by: Schemas["Person"] | null; note: string }
export interface Output { name: string; bytes: number; rows: number; media_type: string }
export interface CheckStep { step: string; ok: boolean; message: string; ms: number }
interface StreamField { name: string; type: string; nullable: boolean }
interface Failure { failure_class: string; message: string; evidence: string[] }
export interface StreamInfo {
  name: string;
  fields: StreamField[];
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
export interface Preview {
  ok: boolean;
  records: Record<string, unknown>[];
  columns: StreamField[];
  ms: number;
  failure: Failure | null;
}
interface CheckAnswer { ok: boolean; steps: CheckStep[] }

export interface MissingPaths {
  "/api/v1/pipelines/preview": { post: Post<Preview, { config: unknown; max_records: number }> };
  "/api/v1/pipelines/{id}/versions": { get: Get<{ results: Version[] }, Id> };
  "/api/v1/runs/{id}/outputs": { get: Get<{ results: Output[] }, Id> };
  "/api/v1/catalog/sources": { get: Get<{ results: CatalogueEntry[] }> };
  "/api/v1/catalog/destinations": { get: Get<{ results: CatalogueEntry[] }> };
  "/api/v1/connectors/check": { post: Post<CheckAnswer, { role: string; kind: string; config: object }> };
  "/api/v1/connectors/{id}/check": { post: Post<CheckAnswer, object, Id> };
  "/api/v1/connectors/{id}/streams": {
    get: Get<{ ok: boolean; streams: StreamInfo[]; failure: Failure | null }, Id>;
  };
}
