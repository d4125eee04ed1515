import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api, idempotencyKey } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { Connector, ConnectorRow, Pipeline } from "@/api/types";
import type { Schedule } from "@/format/schedule";
import { definitionOf, type Draft } from "./draft";
import { pruned, type Config } from "@/components/schema-form/schema";

export type Role = ConnectorRow["role"];

const HOUR = 3_600_000; // milliseconds

export function catalogueQuery(role: Role) {
  return queryOptions({
    queryKey: queryKeys.catalogue(role),
    queryFn: ({ signal }) =>
      role === "source"
        ? answer(api.GET("/api/v1/catalog/sources", { signal }))
        : answer(api.GET("/api/v1/catalog/destinations", { signal })),
    staleTime: HOUR,
  });
}

export function connectorsQuery(role: Role) {
  return queryOptions({
    queryKey: queryKeys.connectors.saved(role),
    queryFn: ({ signal }) => allConnectors(role, signal),
  });
}

/** Every saved one, page by page: people search them as they type. */
async function allConnectors(role: Role, signal: AbortSignal): Promise<{ results: ConnectorRow[] }> {
  const results: ConnectorRow[] = [];
  let cursor: string | undefined;
  do {
    const query = { role, limit: 200, ...(cursor && { cursor }) };
    const page = await answer(api.GET("/api/v1/connectors", { params: { query }, signal }));
    results.push(...page.results);
    cursor = page.next ?? undefined;
  } while (cursor);
  return { results };
}

export function streamsQuery(connectorId: string) {
  return queryOptions({
    queryKey: queryKeys.connectors.streams(connectorId),
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/connectors/{id}/streams", { params: { path: { id: connectorId } }, signal })),
    staleTime: HOUR,
    retry: false,
  });
}

/** Settings that were typed but not saved. */
export function useCheckSettings(role: Role) {
  return useMutation({
    mutationFn: (end: { kind: string; config: Config }) =>
      answer(
        api.POST("/api/v1/connectors/check", { body: { role, kind: end.kind, config: pruned(end.config) } }),
      ),
  });
}

export function useCheckConnector() {
  return useMutation({
    mutationFn: (id: string) =>
      answer(api.POST("/api/v1/connectors/{id}/check", { params: { path: { id } } })),
  });
}

export function useSaveConnector(role: Role) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (connector: { name: string; kind: string; config: Config }): Promise<Connector> =>
      answer(
        api.POST("/api/v1/connectors", {
          params: { header: { "Idempotency-Key": idempotencyKey() } },
          body: { role, name: connector.name, kind: connector.kind, config: pruned(connector.config) },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.connectors.saved(role) }),
  });
}

const TIMES_SHOWN = 3;

/** When a schedule would start runs next; the server's arithmetic knows the days clocks change. */
export function timesQuery(schedule: Schedule | null) {
  return queryOptions({
    queryKey: queryKeys.scheduleTimes(schedule),
    queryFn: ({ signal }) =>
      answer(api.POST("/api/v1/schedules/preview", { body: { schedule, count: TIMES_SHOWN }, signal })),
    enabled: schedule !== null,
    retry: false,
    placeholderData: keepPreviousData,
  });
}

export function usePreview() {
  return useMutation({
    mutationFn: (draft: Draft) =>
      answer(
        api.POST("/api/v1/pipelines/preview", { body: { config: definitionOf(draft), max_records: 10 } }),
      ),
  });
}

export function useCreatePipeline() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (draft: Draft): Promise<Pipeline> =>
      answer(
        api.POST("/api/v1/pipelines", {
          params: { header: { "Idempotency-Key": idempotencyKey() } },
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
