import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "./client";
import { queryKeys } from "./query-keys";
import { plainFetch } from "./session";

/** The identity providers of the installation, which all users can log in with. */
export const providersQuery = queryOptions({
  queryKey: queryKeys.providers,
  queryFn: () => unwrap(api.GET("/api/v1/auth/providers", { fetch: plainFetch })),
  staleTime: Infinity,
});
