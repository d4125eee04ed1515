import { api, unwrapVersioned } from "./client";
import { queryKeys } from "./query-keys";

export const organizationQuery = {
  queryKey: queryKeys.organization,
  queryFn: () => unwrapVersioned(api.GET("/api/v1/org")),
};
