import { queryOptions, useMutation, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { allPages } from "@/api/pages";
import { queryKeys } from "@/api/query-keys";
import type { Connector, ConnectorRow } from "@/api/types";
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

/** All saved connectors of a role. It fetches every page, because the caller searches them in the browser. */
export function savedConnectorsQuery(role: Role) {
  return queryOptions({
    queryKey: queryKeys.connectors.saved(role),
    queryFn: ({ signal }): Promise<{ results: ConnectorRow[] }> =>
      allPages((cursor) =>
        unwrap(
          api.GET("/api/v1/connectors", {
            params: { query: { role, limit: 200, ...(cursor && { cursor }) } },
            signal,
          }),
        ),
      ),
  });
}

export function connectorQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.connectors.one(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/connectors/{id}", { params: { path: { id } }, signal })),
  });
}

/** Tests settings that are not saved. */
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

/** Tests a saved connector. `changes` are merged into its settings for this test only, see `mergePatch`. */
export function useCheckConnector(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (changes: Config | null = null) =>
      unwrap(
        api.POST("/api/v1/connectors/{id}/check", {
          params: { path: { id } },
          body: changes ? { config: changes } : {},
        }),
      ),
    onSuccess: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: queryKeys.connectors.one(id), exact: true }),
        client.invalidateQueries({ queryKey: queryKeys.connectors.lists }),
      ]),
  });
}

interface NewConnector {
  name: string;
  kind: string;
  config: Config;
  domainId: string | null;
  /** Whether these settings have just passed a test. */
  isTested: boolean;
}

export function useCreateConnector(role: Role) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ name, kind, config, domainId }: NewConnector): Promise<Connector> =>
      unwrap(
        api.POST("/api/v1/connectors", {
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
          body: { role, name, kind, config: withoutEmptyFields(config), domain_id: domainId },
        }),
      ),
    onSuccess: ({ id }, { isTested }) => {
      if (isTested) void testSavedSettings(client, id);
      return client.invalidateQueries({ queryKey: queryKeys.connectors.lists });
    },
  });
}

/** Tests a connector that was just saved after a passed test, because the server stores only the results of saved settings. */
export async function testSavedSettings(client: QueryClient, id: string): Promise<void> {
  try {
    await unwrap(api.POST("/api/v1/connectors/{id}/check", { params: { path: { id } }, body: {} }));
  } catch {
    return; // The connector stays marked as not tested, and can be tested on its page.
  }
  await client.invalidateQueries({ queryKey: queryKeys.connectors.one(id), exact: true });
  await client.invalidateQueries({ queryKey: queryKeys.connectors.lists });
}
