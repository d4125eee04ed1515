/** The names the pages use for what the API answers. */
export type {
  CatalogueEntry,
  CheckStep,
  Connector,
  LogLine,
  LogPage,
  Organization,
  Output,
  Pipeline,
  PipelineRow,
  PipelineVersion,
  Preview,
  Run,
  RunStatus,
  Session,
  StreamInfo,
  User,
} from "./interim";
