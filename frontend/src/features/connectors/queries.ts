import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { forgetDeleted } from "@/api/deletion";
import { allPages } from "@/api/pages";
import { isChangedMeanwhile } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { Connector } from "@/api/types";
import type { Config } from "@/components/schema-form/schema";
import type { ConnectorFilter, Role } from "./filter";

const HOUR = 3_600_000; // milliseconds
export const MAX_SHOWN_PIPELINES = 50;

export function connectorsQuery(filter: ConnectorFilter) {
  return infiniteQueryOptions({
    queryKey: queryKeys.connectors.list(filter),
    queryFn: ({ signal, pageParam }) =>
      unwrap(
        api.GET("/api/v1/connectors", {
          params: { query: { ...filter, limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

/** All connectors that match, also those of further pages. */
export function fetchConnectors(filter: ConnectorFilter) {
  return allPages((cursor) =>
    unwrap(
      api.GET("/api/v1/connectors", {
        params: { query: { ...filter, limit: 200, ...(cursor && { cursor }) } },
      }),
    ),
  );
}

/** The kind of a connector, also if no new connector can be of this kind. */
export function kindQuery(role: Role, kind: string) {
  const options = { params: { path: { kind } } };
  return queryOptions({
    queryKey: [...queryKeys.catalogue(role), kind],
    queryFn: ({ signal }) =>
      role === "source"
        ? unwrap(api.GET("/api/v1/catalog/sources/{kind}", { ...options, signal }))
        : unwrap(api.GET("/api/v1/catalog/destinations/{kind}", { ...options, signal })),
    staleTime: HOUR,
  });
}

/** The pipelines that use the connector. */
export function pipelinesOfConnectorQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.connectors.pipelines(id),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/api/v1/pipelines", {
          params: { query: { connector: id, order: "name", limit: MAX_SHOWN_PIPELINES } },
          signal,
        }),
      ),
  });
}

export interface ConnectorChanges {
  name?: string;
  description?: string;
  domain_id?: string | null;
  config?: Config;
}

/** Changes the connector if it still has the version that the user has edited. Otherwise the server answers 412. */
export function useUpdateConnector(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ version, changes }: { version: number; changes: ConnectorChanges }): Promise<Connector> =>
      unwrap(
        api.PATCH("/api/v1/connectors/{id}", {
          params: { path: { id }, header: { "If-Match": `"${version}"` } },
          body: changes,
        }),
      ),
    onSuccess: (connector) => {
      client.setQueryData(queryKeys.connectors.one(id), connector);
      void client.invalidateQueries({ queryKey: queryKeys.connectors.one(id) });
      void client.invalidateQueries({ queryKey: queryKeys.connectors.lists });
    },
    onError: async (error) => {
      if (isChangedMeanwhile(error))
        await client.invalidateQueries({ queryKey: queryKeys.connectors.one(id) });
    },
  });
}

/** Deletes the connector, then leaves its page. */
export function useDeleteConnector({ id, version }: Connector, leavePage: () => Promise<void>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.DELETE("/api/v1/connectors/{id}", {
          params: { path: { id }, header: { "If-Match": `"${version}"` } },
        }),
      ),
    onSuccess: () =>
      forgetDeleted(client, {
        deleted: queryKeys.connectors.one(id),
        refreshed: queryKeys.connectors.lists,
        leavePage,
      }),
    onError: () => client.invalidateQueries({ queryKey: queryKeys.connectors.one(id) }),
  });
}
