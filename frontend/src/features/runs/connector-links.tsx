import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { pipelineQuery } from "@/api/pipelines";
import type { Run } from "@/api/types";
import { buttonClasses } from "@/components/button";
import { catalogueQuery, connectorQuery } from "@/components/connectors/queries";
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
    return id && <ConnectorLink key={side} id={id} failure={failure} />;
  });
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
  const field = kind && canEdit ? fieldToChange(kind, failure) : null;
  return (
    <Link
      to="/connectors/$connectorId"
      params={{ connectorId: id }}
      search={field ? { field } : {}}
      className={buttonClasses("plain", "small")}
    >
      <span className="max-w-72 truncate">
        {field ? `Change the ${nameInWords(field).toLowerCase()} of` : `Open ${connector.role}`}{" "}
        <bdi>{connector.name}</bdi>
      </span>
    </Link>
  );
}
