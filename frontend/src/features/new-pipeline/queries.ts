import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { Connector, ConnectorRow, Pipeline } from "@/api/types";
import type { Schedule } from "@/format/schedule";
import { definitionOf, type Draft } from "./draft";
import { withoutEmptyFields, type Config } from "@/components/schema-form/schema";

export type Role = ConnectorRow["role"];

const HOUR = 3_600_000; // milliseconds

export function catalogueQuery(role: Role) {
  return queryOptions({
    queryKey: queryKeys.catalogue(role),
    queryFn: ({ signal }) =>
      role === "source"
        ? unwrap(api.GET("/api/v1/catalog/sources", { signal }))
        : unwrap(api.GET("/api/v1/catalog/destinations", { signal })),
    staleTime: HOUR,
  });
}

export function connectorsQuery(role: Role) {
  return queryOptions({
    queryKey: queryKeys.connectors.list(role),
    queryFn: ({ signal }) => fetchAllConnectors(role, signal),
  });
}

/** Fetches all pages, because the search filters the connectors in the browser. */
async function fetchAllConnectors(role: Role, signal: AbortSignal): Promise<{ results: ConnectorRow[] }> {
  const results: ConnectorRow[] = [];
  let cursor: string | undefined;
  do {
    const query = { role, limit: 200, ...(cursor && { cursor }) };
    const page = await unwrap(api.GET("/api/v1/connectors", { params: { query }, signal }));
    results.push(...page.results);
    cursor = page.next ?? undefined;
  } while (cursor);
  return { results };
}

export function streamsQuery(connectorId: string) {
  return queryOptions({
    queryKey: queryKeys.connectors.streams(connectorId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/connectors/{id}/streams", { params: { path: { id: connectorId } }, signal })),
    staleTime: HOUR,
    retry: false,
  });
}

/** Checks a connector that is not saved. */
export function useCheckSettings(role: Role) {
  return useMutation({
    mutationFn: (connector: { kind: string; config: Config }) =>
      unwrap(
        api.POST("/api/v1/connectors/check", {
          body: { role, kind: connector.kind, config: withoutEmptyFields(connector.config) },
        }),
      ),
  });
}

export function useCheckConnector() {
  return useMutation({
    mutationFn: (id: string) =>
      unwrap(api.POST("/api/v1/connectors/{id}/check", { params: { path: { id } } })),
  });
}

export function useSaveConnector(role: Role) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (connector: { name: string; kind: string; config: Config }): Promise<Connector> =>
      unwrap(
        api.POST("/api/v1/connectors", {
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
          body: {
            role,
            name: connector.name,
            kind: connector.kind,
            config: withoutEmptyFields(connector.config),
          },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.connectors.list(role) }),
  });
}

const NEXT_RUN_COUNT = 3;

/** The next times of a schedule. The server computes them, because it considers daylight saving time. */
export function nextTimesQuery(schedule: Schedule | null) {
  return queryOptions({
    queryKey: queryKeys.scheduleTimes(schedule),
    queryFn: ({ signal }) =>
      unwrap(api.POST("/api/v1/schedules/preview", { body: { schedule, count: NEXT_RUN_COUNT }, signal })),
    enabled: schedule !== null,
    retry: false,
    placeholderData: keepPreviousData,
  });
}

export function usePreview() {
  return useMutation({
    mutationFn: (draft: Draft) =>
      unwrap(
        api.POST("/api/v1/pipelines/preview", { body: { config: definitionOf(draft), max_records: 10 } }),
      ),
  });
}

export function useCreatePipeline() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (draft: Draft): Promise<Pipeline> =>
      unwrap(
        api.POST("/api/v1/pipelines", {
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
          body: {
            name: draft.name.trim(),
            tags: draft.tags,
            schedule: draft.schedule,
            config: definitionOf(draft),
          },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.pipelines.all }),
  });
}
