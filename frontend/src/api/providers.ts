import { queryOptions } from "@tanstack/react-query";
import { answer, api } from "./client";
import { queryKeys } from "./query-keys";
import { plainFetch } from "./session";

/** The identity providers that this installation offers to everyone. */
export const providersQuery = queryOptions({
  queryKey: queryKeys.providers,
  queryFn: () => answer(api.GET("/api/v1/auth/providers", { fetch: plainFetch })),
  staleTime: Infinity,
});
