import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { pipelineQuery } from "@/api/pipelines";
import type { PipelineSetting, Run } from "@/api/types";
import { buttonClasses } from "@/components/button";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";

const LABELS: Record<PipelineSetting, string> = {
  timeout_seconds: "time limit",
  stream: "streams",
  table: "destination table",
  sync_mode: "sync mode",
  cursor_field: "cursor column",
  primary_key: "primary key",
  write_mode: "write mode",
  allow_empty: "rule for empty results",
  max_rejected_share: "share of rejected records",
  contract: "rule for new columns",
  transforms: "transform",
};

interface Props {
  run: Run;
  failure: { message: string; setting: PipelineSetting | null };
  /** The stream that failed. Without it, the only one of the pipeline, or the one that the message names. */
  stream?: string;
}

/** Leads to the very field of the pipeline's configuration that the failure is about. A viewer is led to the configuration. */
export function SettingLink({ failure, ...props }: Props) {
  if (!failure.setting) return null;
  return <LinkToSetting {...props} setting={failure.setting} message={failure.message} />;
}

interface LinkProps extends Pick<Props, "run" | "stream"> {
  setting: PipelineSetting;
  message: string;
}

function LinkToSetting({ run, setting, message, stream }: LinkProps) {
  const { data: pipeline } = useQuery(pipelineQuery(run.pipeline.id));
  const mayEdit = useHasPermission()("pipelines.edit", pipeline?.domain?.id);
  const canEdit = useReadOnlyReason() === null && mayEdit;
  if (!pipeline) return null;
  const names = pipeline.config.streams.map((each) => each.stream);
  const failed = stream ?? failedStream(names, message);
  const search = canEdit
    ? { setting, ...(setting !== "timeout_seconds" && failed && { stream: failed }) }
    : {};
  return (
    <Link
      to="/pipelines/$pipelineId/configuration"
      params={{ pipelineId: run.pipeline.id }}
      search={search}
      className={buttonClasses("plain", "small")}
    >
      {canEdit ? `Change the ${LABELS[setting]}` : "Open the configuration"}
      {stream && <span className="sr-only"> of {stream}</span>}
    </Link>
  );
}

/** The longest name, because another one may be a part of it. */
function failedStream(names: string[], message: string): string | undefined {
  if (names.length === 1) return names[0];
  return names.filter((name) => message.includes(name)).sort((one, other) => other.length - one.length)[0];
}
