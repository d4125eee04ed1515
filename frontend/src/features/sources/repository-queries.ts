import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api, idempotencyKey } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { Repository } from "@/api/types";

const WATCH = 2_000; // milliseconds between looks while a sync is under way
const CALM = 30_000;

export const repositoriesQuery = queryOptions({
  queryKey: queryKeys.repositories,
  queryFn: ({ signal }) =>
    answer(api.GET("/api/v1/repositories", { params: { query: { limit: 200 } }, signal })),
  refetchInterval: ({ state }) => (state.data?.results.some(isUnderWay) ? WATCH : CALM),
});

export function isUnderWay({ status }: Repository): boolean {
  return status === "waiting" || status === "running";
}

export interface Connection {
  url: string;
  branch: string;
  path: string;
  username: string;
  token: string;
  approves: boolean;
}

export function useConnect() {
  return useChanging((connection: Connection) =>
    answer(
      api.POST("/api/v1/repositories", {
        params: { header: { "Idempotency-Key": idempotencyKey() } },
        body: connection,
      }),
    ),
  );
}

export function useChangeRepository(id: string) {
  return useChanging((change: Partial<Connection>) =>
    answer(api.PATCH("/api/v1/repositories/{id}", { params: { path: { id } }, body: change })),
  );
}

export function useSync(id: string) {
  return useChanging(() => answer(api.POST("/api/v1/repositories/{id}/sync", { params: { path: { id } } })));
}

export function useRenewSecret(id: string) {
  return useChanging(() =>
    answer(api.POST("/api/v1/repositories/{id}/webhook-secret", { params: { path: { id } } })),
  );
}

export function useDisconnect(id: string) {
  return useChanging(() => answer(api.DELETE("/api/v1/repositories/{id}", { params: { path: { id } } })));
}

export function useUpload() {
  return useChanging(async (file: File) =>
    answer(
      api.POST("/api/v1/custom-sources/upload", {
        params: { header: { "Idempotency-Key": idempotencyKey() } },
        body: { filename: file.name, content: await base64(file), approve: false },
      }),
    ),
  );
}

/** A mutation after which repositories and sources are asked anew. */
function useChanging<In, Out>(mutationFn: (sent: In) => Promise<Out>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: queryKeys.sources.all });
      return client.invalidateQueries({ queryKey: queryKeys.repositories });
    },
  });
}

function base64(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(reader.error ?? new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });
}
