import { api, unwrap } from "./client";
import { queryKeys } from "./query-keys";

export const domainsQuery = {
  queryKey: queryKeys.domains.all,
  queryFn: () => unwrap(api.GET("/api/v1/org/domains", { params: { query: { limit: 200 } } })),
};
