import { api, unwrap } from "./client";
import { allPages } from "./pages";
import { queryKeys } from "./query-keys";

const LARGEST_PAGE = 200;

/** All members. The browser filters them itself. */
export const membersQuery = {
  queryKey: queryKeys.members.all,
  queryFn: () =>
    allPages((cursor) =>
      unwrap(
        api.GET("/api/v1/org/members", {
          params: { query: { limit: LARGEST_PAGE, ...(cursor && { cursor }) } },
        }),
      ),
    ),
};

/** The invitations that nobody has accepted yet. */
export const invitationsQuery = {
  queryKey: queryKeys.invitations,
  queryFn: () =>
    allPages((cursor) =>
      unwrap(
        api.GET("/api/v1/org/invitations", {
          params: { query: { limit: LARGEST_PAGE, ...(cursor && { cursor }) } },
        }),
      ),
    ),
};
