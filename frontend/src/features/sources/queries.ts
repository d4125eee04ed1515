import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { answer, api, idempotencyKey } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { CustomSource } from "@/api/types";
import { pruned, type Config } from "@/components/schema-form/schema";
import type { SourceFilter } from "./filter";

const HOUR = 3_600_000; // milliseconds

export function sourcesQuery(filter: SourceFilter) {
  return infiniteQueryOptions({
    queryKey: queryKeys.sources.list(filter),
    queryFn: ({ signal, pageParam }) =>
      answer(
        api.GET("/api/v1/custom-sources", {
          params: { query: { ...filter, limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function sourceQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.sources.one(id),
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/custom-sources/{id}", { params: { path: { id } }, signal })),
  });
}

export function versionsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.sources.versions(id),
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/custom-sources/{id}/versions", {
          params: { path: { id }, query: { limit: 100 } },
          signal,
        }),
      ),
  });
}

/** What this version changed, compared with the one before it. */
export function diffQuery(id: string, number: number) {
  return queryOptions({
    queryKey: queryKeys.sources.diff(id, number),
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/custom-sources/{id}/versions/{number}/diff", {
          params: { path: { id, number } },
          signal,
        }),
      ),
    staleTime: HOUR,
  });
}

export const cookbookQuery = queryOptions({
  queryKey: queryKeys.sources.cookbook,
  queryFn: ({ signal }) => answer(api.GET("/api/v1/custom-sources/cookbook", { signal })),
  staleTime: HOUR,
});

/** The validation of the code. The last result stays on the page until the next one arrives. */
export function reportQuery(code: string) {
  return queryOptions({
    queryKey: queryKeys.sources.report(code),
    queryFn: ({ signal }) => answer(api.POST("/api/v1/custom-sources/validate", { body: { code }, signal })),
    enabled: code.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: HOUR,
    gcTime: 60_000,
  });
}

interface Attempt {
  code: string;
  stream: string;
  config: Config;
}

export function useTry() {
  return useMutation({
    mutationFn: ({ code, stream, config }: Attempt) =>
      answer(
        api.POST("/api/v1/custom-sources/preview", {
          body: { code, stream, config: pruned(config), max_records: 20 },
        }),
      ),
  });
}

export function useCreateSource() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (source: { name: string; code: string; approve: boolean }): Promise<CustomSource> =>
      answer(
        api.POST("/api/v1/custom-sources", {
          params: { header: { "Idempotency-Key": idempotencyKey() } },
          body: source,
        }),
      ),
    onSuccess: () => forget(client),
  });
}

type Change = {
  name?: string;
  description?: string;
  code?: string;
  note?: string;
  approve?: boolean;
  archived?: boolean;
};

export function useChangeSource(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (change: Change): Promise<CustomSource> =>
      answer(api.PATCH("/api/v1/custom-sources/{id}", { params: { path: { id } }, body: change })),
    onSuccess: () => forget(client),
  });
}

export function useVersionVerb(id: string, verb: "approve" | "restore") {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (number: number): Promise<CustomSource> =>
      answer(
        api.POST(`/api/v1/custom-sources/{id}/versions/{number}/${verb}`, {
          params: { path: { id, number } },
        }),
      ),
    onSuccess: () => forget(client),
  });
}

export function useDeleteSource(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => answer(api.DELETE("/api/v1/custom-sources/{id}", { params: { path: { id } } })),
    onSuccess: () => forget(client),
  });
}

/** Lists, the source itself, and the catalogue that pipelines choose from. */
function forget(client: ReturnType<typeof useQueryClient>) {
  void client.invalidateQueries({ queryKey: queryKeys.sources.all });
  return client.invalidateQueries({ queryKey: queryKeys.catalogue("source") });
}
