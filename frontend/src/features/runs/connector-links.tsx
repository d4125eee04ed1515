import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { pipelineQuery } from "@/api/pipelines";
import type { Run } from "@/api/types";
import { buttonClasses } from "@/components/button";
import { connectorQuery } from "@/components/connectors/queries";
import { connectorsToOpen } from "./connectors-to-open";

/** Links to the connectors on whose pages the user can repair the run: change the settings and test them. */
export function ConnectorLinks({ run }: { run: Run }) {
  const { data: pipeline } = useQuery(pipelineQuery(run.pipeline.id));
  const ids = pipeline && run.failure ? connectorsToOpen(run.failure.class, pipeline.config) : [];
  return ids.map((id) => <ConnectorLink key={id} id={id} />);
}

function ConnectorLink({ id }: { id: string }) {
  const { data: connector } = useQuery(connectorQuery(id));
  if (!connector) return null;
  return (
    <Link
      to="/connectors/$connectorId"
      params={{ connectorId: id }}
      className={buttonClasses("plain", "small")}
    >
      <span className="max-w-64 truncate">
        Open {connector.role} {connector.name}
      </span>
    </Link>
  );
}
