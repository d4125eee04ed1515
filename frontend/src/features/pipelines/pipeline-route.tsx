import { useQuery } from "@tanstack/react-query";
import type { Pipeline } from "@/api/types";
import { connectorQuery, type Role } from "@/components/connectors/queries";
import { useKindName } from "@/components/connectors/use-kind-name";
import { RouteLine, streamsInWords } from "./list/route-line";

/** From where to where the pipeline copies: the names of its connectors, or of their kinds if they are not saved. */
export function PipelineRoute({ pipeline }: { pipeline: Pipeline }) {
  return (
    <RouteLine
      source={useSideName("source", pipeline.config.source.connector_id, pipeline.source_kind)}
      destination={useSideName(
        "destination",
        pipeline.config.destination.connector_id,
        pipeline.destination_kind,
      )}
      stream={streamsInWords(pipeline)}
    />
  );
}

/** The connector may have been deleted, or be in a domain of others. Then its kind is named. */
function useSideName(role: Role, connectorId: string | null, kind: string): string {
  const kindName = useKindName();
  const { data } = useQuery({ ...connectorQuery(connectorId ?? ""), enabled: connectorId !== null });
  return (connectorId && data?.name) || kindName(role, kind);
}
