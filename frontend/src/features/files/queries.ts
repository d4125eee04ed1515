import { infiniteQueryOptions, keepPreviousData, useMutation, useQueryClient } from "@tanstack/react-query";
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

export function useDeleteFile(onDeleted: (name: string) => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, version }: DataFile) =>
      unwrap(
        api.DELETE("/api/v1/files/{id}", {
          params: { path: { id }, header: { "If-Match": `"${version}"` } },
        }),
      ),
    onSuccess: (_nothing, { name }) => onDeleted(name),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.files.all }),
  });
}
