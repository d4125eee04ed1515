import { api, unwrap } from "./client";
import { allPages } from "./pages";
import { queryKeys } from "./query-keys";

/** All domains. The browser filters them itself. */
export const domainsQuery = {
  queryKey: queryKeys.domains.all,
  queryFn: () =>
    allPages((cursor) =>
      unwrap(
        api.GET("/api/v1/org/domains", { params: { query: { limit: 200, ...(cursor && { cursor }) } } }),
      ),
    ),
};
