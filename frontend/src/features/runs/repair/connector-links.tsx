import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { pipelineQuery } from "@/api/pipelines";
import type { Pipeline, Run } from "@/api/types";
import { buttonClasses } from "@/components/button";
import { catalogueQuery, connectorQuery, type Role } from "@/components/connectors/queries";
import { nameInWords } from "@/format/name";
import { useHasPermission } from "@/session/use-session";
import { fieldToChange } from "./field-to-change";

/** Links to the connectors on whose pages the user can repair the run: change the settings and test them. */
export function ConnectorLinks({ run }: { run: Run }) {
  const { data: pipeline } = useQuery(pipelineQuery(run.pipeline.id));
  const { failure } = run;
  if (!pipeline || !failure) return null;
  return failure.sides.map((side) => {
    const id = pipeline.config[side].connector_id;
    if (id) return <ConnectorLink key={side} id={id} failure={failure} />;
    return <OwnSettingsLink key={side} side={side} pipeline={pipeline} failure={failure} />;
  });
}

interface OwnSettingsProps {
  side: Role;
  pipeline: Pipeline;
  failure: NonNullable<Run["failure"]>;
}

/** Leads to the setting of a source or destination that only this pipeline has, if the failure names one. */
function OwnSettingsLink({ side, pipeline, failure }: OwnSettingsProps) {
  const canEdit = useHasPermission()("pipelines.edit", pipeline.domain?.id);
  const { data: catalogue } = useQuery(catalogueQuery(side));
  const { kind, config } = pipeline.config[side];
  const entry = catalogue?.results.find((each) => each.kind === kind);
  const field = entry && canEdit ? fieldToChange(entry, failure, config) : null;
  if (!field) return null;
  return (
    <Link
      to="/pipelines/$pipelineId/configuration"
      params={{ pipelineId: pipeline.id }}
      search={{ setting: `${side}.config.${field}` }}
      className={buttonClasses("plain", "small")}
    >
      Change the {labelOf(field)} of the {side}
    </Link>
  );
}

/** The last name of the path in words. */
function labelOf(field: string): string {
  return nameInWords(field.split(".").at(-1)!).toLowerCase();
}

interface LinkProps {
  id: string;
  failure: NonNullable<Run["failure"]>;
}

/** Leads to the setting that the failure is about, if it names one. */
function ConnectorLink({ id, failure }: LinkProps) {
  const hasPermission = useHasPermission();
  const { data: connector } = useQuery(connectorQuery(id));
  const role = connector?.role ?? "source";
  const { data: catalogue } = useQuery({ ...catalogueQuery(role), enabled: connector !== undefined });
  if (!connector) return null;
  const kind = catalogue?.results.find((entry) => entry.kind === connector.kind);
  const canEdit = hasPermission("connectors.edit", connector.domain?.id);
  const field = kind && canEdit ? fieldToChange(kind, failure, connector.config) : null;
  return (
    <Link
      to="/connectors/$connectorId"
      params={{ connectorId: id }}
      search={field ? { field } : {}}
      className={buttonClasses("plain", "small")}
    >
      <span title={connector.name} className="max-w-72 truncate">
        {field ? `Change the ${labelOf(field)} of` : `Open ${connector.role}`} <bdi>{connector.name}</bdi>
      </span>
    </Link>
  );
}
