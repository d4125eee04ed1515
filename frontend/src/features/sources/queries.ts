import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap, unwrapVersioned, type Versioned } from "@/api/client";
import { forgetDeleted } from "@/api/deletion";
import { isChangedMeanwhile } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { CustomSource } from "@/api/types";
import { withoutEmptyFields, type Config } from "@/components/schema-form/schema";
import type { SourceFilter } from "./filter";

const HOUR = 3_600_000; // milliseconds

export function sourcesQuery(filter: SourceFilter) {
  return infiniteQueryOptions({
    queryKey: queryKeys.sources.list(filter),
    queryFn: ({ signal, pageParam }) =>
      unwrap(
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
      unwrapVersioned(api.GET("/api/v1/custom-sources/{id}", { params: { path: { id } }, signal })),
  });
}

export function versionsQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.sources.versions(id),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/api/v1/custom-sources/{id}/versions", {
          params: { path: { id }, query: { limit: 100 } },
          signal,
        }),
      ),
  });
}

/** The changes of a version, compared with the previous version. */
export function diffQuery(id: string, number: number) {
  return queryOptions({
    queryKey: queryKeys.sources.diff(id, number),
    queryFn: ({ signal }) =>
      unwrap(
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
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/custom-sources/cookbook", { signal })),
  staleTime: HOUR,
});

/** The result of the validation of the code. The page shows the previous result until this one arrives. */
export function reportQuery(code: string) {
  return queryOptions({
    queryKey: queryKeys.sources.report(code),
    queryFn: ({ signal }) => unwrap(api.POST("/api/v1/custom-sources/validate", { body: { code }, signal })),
    enabled: code.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: HOUR,
    gcTime: 60_000,
  });
}

interface PreviewRequest {
  code: string;
  stream: string;
  config: Config;
}

export function usePreviewCode() {
  return useMutation({
    mutationFn: ({ code, stream, config }: PreviewRequest) =>
      unwrap(
        api.POST("/api/v1/custom-sources/preview", {
          body: { code, stream, config: withoutEmptyFields(config), max_records: 20 },
        }),
      ),
  });
}

export function useCreateSource() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (source: { name: string; code: string; approve: boolean }): Promise<CustomSource> =>
      unwrap(
        api.POST("/api/v1/custom-sources", {
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
          body: source,
        }),
      ),
    onSuccess: () => invalidateSources(client),
  });
}

type SourceChange = {
  name?: string;
  description?: string;
  code?: string;
  note?: string;
  approve?: boolean;
  archived?: boolean;
};

/** Changes the source if it is still as the page shows it. Otherwise the page gets what somebody else has saved. */
export function useChangeSource(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ change, etag }: { change: SourceChange; etag: string }): Promise<CustomSource> =>
      unwrap(
        api.PATCH("/api/v1/custom-sources/{id}", {
          params: { path: { id }, header: { "If-Match": etag } },
          body: change,
        }),
      ),
    onSuccess: () => invalidateSources(client),
    onError: (error) => refetchIfChanged(client, error),
  });
}

/** Approves or restores a version if the source is still as the page shows it. */
export function useChangeVersion({ id, etag }: Versioned<CustomSource>, action: "approve" | "restore") {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (number: number): Promise<CustomSource> =>
      unwrap(
        api.POST(`/api/v1/custom-sources/{id}/versions/{number}/${action}`, {
          params: { path: { id, number }, header: { "If-Match": etag } },
        }),
      ),
    onSuccess: () => invalidateSources(client),
    onError: (error) => refetchIfChanged(client, error),
  });
}

/** Deletes the source if it is still as the page shows it, then leaves its page. */
export function useDeleteSource({ id, etag }: Versioned<CustomSource>, leavePage: () => Promise<void>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.DELETE("/api/v1/custom-sources/{id}", { params: { path: { id }, header: { "If-Match": etag } } }),
      ),
    onSuccess: async () => {
      const keys = { deleted: queryKeys.sources.one(id), refreshed: queryKeys.sources.all };
      await forgetDeleted(client, { ...keys, leavePage });
      await client.invalidateQueries({ queryKey: queryKeys.catalogue("source") });
    },
    onError: (error) => refetchIfChanged(client, error),
  });
}

/** After a 412 the page gets what somebody else has saved. */
async function refetchIfChanged(client: ReturnType<typeof useQueryClient>, error: unknown) {
  if (isChangedMeanwhile(error)) await invalidateSources(client);
}

/** Fetch the custom sources again, and the catalogue of sources, which contains them. */
function invalidateSources(client: ReturnType<typeof useQueryClient>) {
  void client.invalidateQueries({ queryKey: queryKeys.sources.all });
  return client.invalidateQueries({ queryKey: queryKeys.catalogue("source") });
}
