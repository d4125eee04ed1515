import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { DataFile } from "@/api/types";
import type { FileFilter } from "./filter";

export function filesQuery(filter: FileFilter) {
  return infiniteQueryOptions({
    queryKey: queryKeys.files.list(filter),
    queryFn: ({ signal, pageParam }) =>
      unwrap(
        api.GET("/api/v1/files", {
          params: { query: { ...filter, limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export const limitsQuery = queryOptions({ queryKey: queryKeys.files.limits, queryFn: () => fetchLimits() });

export function fetchLimits() {
  return unwrap(api.GET("/api/v1/files/limits"));
}

/** The file with this name, or null. Upper and lower case count as the same, as on the server. */
export async function findFileByName(name: string): Promise<DataFile | null> {
  const query = { q: name, limit: 200, order: "name" as const };
  const { results } = await unwrap(api.GET("/api/v1/files", { params: { query } }));
  return results.find((file) => file.name.toLowerCase() === name.toLowerCase()) ?? null;
}

export function useDeleteFile() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, version }: DataFile) =>
      unwrap(
        api.DELETE("/api/v1/files/{id}", {
          params: { path: { id }, header: { "If-Match": `"${version}"` } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.files.all }),
  });
}
