/** Short names for the types of the API's responses. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type AgentStatus = Schemas["AgentStatus"];
export type AuditEvent = Schemas["AuditRow"];
export type Session = Schemas["LoginResponse"];
export type Permission = Schemas["PermissionEnum"];
export type PipelineRow = Schemas["PipelineRow"];
export type PipelineRowPage = Schemas["PipelineRowPage"];
export type Pipeline = Schemas["PipelineDetail"];
export type PipelineVersion = Schemas["VersionRow"];
export type VersionDiff = Schemas["VersionDiff"];
export type PipelineState = Schemas["PipelineState"];
export type PositionChange = Schemas["PositionChange"];
export type PositionHistory = Schemas["PositionHistory"];
export type Backfill = Schemas["Backfill"];
export type BackfillPossibility = Schemas["Possibility"];
export type BackfillEstimate = Schemas["EstimatedWindow"];
export type BackfillWindow = Schemas["WindowRequest"];
export type SourceChange = Schemas["SourceChange"];
export type SourceChangePage = Schemas["SourceChangePage"];
export type StreamState = Schemas["StreamState"];
export type PipelineChange = Schemas["PatchedPipelineUpdateRequest"];
export type Run = Schemas["Run"];
export type RunRow = Schemas["RunRow"];
export type RunRowPage = Schemas["RunRowPage"];
export type RunStatus = Schemas["RunStatusEnum"];
export type RunStream = Schemas["RunStream"];
export type RunStreamPage = Schemas["RunStreamList"];
export type LeftOut = Schemas["LeftOut"];
export type ReplayableStream = Schemas["ReplayableStream"];
export type LeftOutRecord = Schemas["LeftOutRecord"];
export type LogPage = Schemas["LogPage"];
export type LogLine = Omit<Schemas["LogLine"], "line">;
export type ConnectorRow = Schemas["ConnectorRow"];
export type Connector = Schemas["ConnectorDetail"];
export type CatalogueEntry = Schemas["CatalogueKind"];
export type CheckStep = Schemas["CheckStep"];
export type PreviewRequest = Schemas["PreviewRequestRequest"];
export type Preview = Schemas["PreviewAnswer"];
export type StreamInfo = Schemas["Stream"];
export type Output = Schemas["Output"];
export type Organization = Schemas["Organization"];
export type Member = Schemas["Member"];
export type ConversationRow = Schemas["ConversationRow"];
export type ConversationRowPage = Schemas["ConversationRowPage"];
export type CodeReport = Schemas["CodeReport"];
export type CodeMessage = Schemas["CodeMessage"];
export type CustomSource = Schemas["CustomSourceDetail"];
export type CustomSourceRow = Schemas["CustomSourceRow"];
export type OwnProvider = Schemas["OwnProvider"];
export type OwnProviderChange = Schemas["OwnProviderChangeRequest"];
export type ProviderCheck = Schemas["IssuerCheckResult"];
export type OwnModel = Schemas["OwnModel"];
export type OwnModelChange = Schemas["OwnModelChangeRequest"];
export type ModelDraft = Schemas["ModelDraftRequest"];
export type ModelCheckAnswer = Schemas["ModelCheckAnswer"];
export type ModelCheckRow = Schemas["ModelCheckRow"];
export type Repository = Schemas["RepositoryRow"];
export type DataFile = Schemas["DataFile"];
export type FileUser = Schemas["FileUser"];
export type FileOutcome = Schemas["FileOutcome"];
export type SourceVersionRow = Schemas["CustomSourceVersionRow"];
export type Trial = Schemas["TryAnswer"];
export type NetworkPlace = Schemas["NetworkPlace"];
export type VerifiedDomain = Schemas["VerifiedDomainRow"];
export type ToolRequest = Schemas["ToolRequestAnswer"];
export type ToolRequestRow = Schemas["ToolRequestRow"];

/** A domain in which an object can be placed. The id null is for objects without a domain. */
export interface DomainChoice {
  id: string | null;
  name: string;
}
