import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap, unwrapVersioned } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { FreshnessPageChange, FreshnessPageCreate } from "@/api/types";

/** The public pages of the organization. It has at most 20, so one page of the list has all of them. */
export const freshnessPagesQuery = queryOptions({
  queryKey: queryKeys.freshnessPages.all,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/freshness-pages", { signal })),
});

/** A page with the ETag that its form needs. */
export function freshnessPageQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.freshnessPages.one(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/freshness-pages/{id}", { params: { path: { id } }, signal })),
  });
}

/** What readers of a page see. */
export function previewQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.freshnessPages.preview(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/freshness-pages/{id}/preview", { params: { path: { id } }, signal })),
  });
}

/** A mutation after which the pages are fetched again, also if it was refused. */
function usePageMutation<Input, Output>(mutationFn: (input: Input) => Promise<Output>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.freshnessPages.all }),
  });
}

const onceOnly = () => ({ header: { "Idempotency-Key": newIdempotencyKey() } });

export function useCreatePage() {
  return usePageMutation((body: FreshnessPageCreate) =>
    unwrap(api.POST("/api/v1/freshness-pages", { params: onceOnly(), body })),
  );
}

/** Changes a page. With an ETag, only if it is still as the form shows it. */
export function useChangePage(id: string) {
  return usePageMutation(({ etag, change }: { etag?: string; change: FreshnessPageChange }) =>
    unwrap(
      api.PATCH("/api/v1/freshness-pages/{id}", {
        params: { path: { id }, ...(etag && { header: { "If-Match": etag } }) },
        body: change,
      }),
    ),
  );
}

export function useRenewLink() {
  return usePageMutation((id: string) =>
    unwrap(api.POST("/api/v1/freshness-pages/{id}/renew-link", { params: { path: { id }, ...onceOnly() } })),
  );
}

export function useDeletePage() {
  return usePageMutation(({ id }: { id: string }) =>
    unwrap(api.DELETE("/api/v1/freshness-pages/{id}", { params: { path: { id } } })),
  );
}
