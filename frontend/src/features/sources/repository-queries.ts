import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap, unwrapVersioned, type Versioned } from "@/api/client";
import { allPages } from "@/api/pages";
import { isChangedMeanwhile } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { Repository } from "@/api/types";

const SYNCING_POLL_INTERVAL = 2_000; // milliseconds between polls while a sync is in progress
const IDLE_POLL_INTERVAL = 30_000; // milliseconds between polls otherwise

export const repositoriesQuery = queryOptions({
  queryKey: queryKeys.repositories,
  queryFn: ({ signal }) =>
    allPages((cursor) =>
      unwrap(
        api.GET("/api/v1/repositories", {
          params: { query: { limit: 200, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    ),
  refetchInterval: ({ state }) =>
    state.data?.results.some(isSyncing) ? SYNCING_POLL_INTERVAL : IDLE_POLL_INTERVAL,
});

/** The repository with its version, for its form. */
export function repositoryQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.repository(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/repositories/{id}", { params: { path: { id } }, signal })),
  });
}

export function isSyncing({ status }: Repository): boolean {
  return status === "waiting" || status === "running";
}

export interface RepositorySettings {
  url: string;
  branch: string;
  path: string;
  username: string;
  token: string;
  approves: boolean;
}

export function useConnectRepository() {
  return useRepositoryMutation((settings: RepositorySettings) =>
    unwrap(
      api.POST("/api/v1/repositories", {
        params: { header: { "Idempotency-Key": newIdempotencyKey() } },
        body: settings,
      }),
    ),
  );
}

/** Changes the repository if it is still as the form shows it. Otherwise the form gets what somebody else has saved. */
export function useChangeRepository({ id, etag }: Versioned<Repository>) {
  return useRepositoryMutation((change: Partial<RepositorySettings>) =>
    unwrap(
      api.PATCH("/api/v1/repositories/{id}", {
        params: { path: { id }, header: { "If-Match": etag } },
        body: change,
      }),
    ),
  );
}

export function useSyncRepository(id: string) {
  return useRepositoryMutation(() =>
    unwrap(api.POST("/api/v1/repositories/{id}/sync", { params: { path: { id } } })),
  );
}

export function useRenewWebhookSecret(id: string) {
  return useRepositoryMutation(() =>
    unwrap(api.POST("/api/v1/repositories/{id}/webhook-secret", { params: { path: { id } } })),
  );
}

export function useDisconnectRepository({ id, etag }: Versioned<Repository>) {
  return useRepositoryMutation(() =>
    unwrap(
      api.DELETE("/api/v1/repositories/{id}", { params: { path: { id }, header: { "If-Match": etag } } }),
    ),
  );
}

export function useUploadSources() {
  return useRepositoryMutation(async (file: File) =>
    unwrap(
      api.POST("/api/v1/custom-sources/upload", {
        params: { header: { "Idempotency-Key": newIdempotencyKey() } },
        body: { filename: file.name, content: await toBase64(file), approve: false },
      }),
    ),
  );
}

/** A mutation after which repositories and custom sources are fetched again. */
function useRepositoryMutation<Input, Output>(mutationFn: (input: Input) => Promise<Output>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: queryKeys.sources.all });
      return client.invalidateQueries({ queryKey: queryKeys.repositories });
    },
    onError: async (error) => {
      if (isChangedMeanwhile(error)) await client.invalidateQueries({ queryKey: queryKeys.repositories });
    },
  });
}

function toBase64(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(reader.error ?? new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });
}
