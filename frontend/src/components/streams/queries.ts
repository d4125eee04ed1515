import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";

const HOUR = 3_600_000; // milliseconds

export function streamsQuery(connectorId: string) {
  return queryOptions({
    queryKey: queryKeys.connectors.streams(connectorId),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/connectors/{id}/streams", { params: { path: { id: connectorId } }, signal })),
    staleTime: HOUR,
    retry: false,
  });
}

/** The streams of a source. Without a saved connector, or if the source fails, there are none. */
export function useStreams(connectorId: string | null) {
  const { data } = useQuery({ ...streamsQuery(connectorId ?? ""), enabled: connectorId !== null });
  return data?.streams;
}

/** Asks the source again, instead of the list that the server has stored. */
export function useRefreshStreams(connectorId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.GET("/api/v1/connectors/{id}/streams", {
          params: { path: { id: connectorId }, query: { refresh: true } },
        }),
      ),
    onSuccess: (found) => {
      client.setQueryData(streamsQuery(connectorId).queryKey, found);
      return client.invalidateQueries({ queryKey: queryKeys.connectors.allMatches(connectorId) });
    },
  });
}
