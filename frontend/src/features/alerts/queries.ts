import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap, unwrapVersioned } from "@/api/client";
import { channelsQuery } from "@/api/alerts";
import { allPages } from "@/api/pages";
import { queryKeys } from "@/api/query-keys";
import type { components } from "@/api/schema";
import type { DeliveryFilter } from "./search";

type Schemas = components["schemas"];
export type RuleChange = Schemas["PatchedRuleUpdateRequest"];
export type ChannelChange = Schemas["PatchedChannelUpdateRequest"];

const POLL_INTERVAL = 5_000; // milliseconds between looks at the log, and at channels to which something is sent
const FAST_POLL_INTERVAL = 1_000; // the same for the one delivery that somebody waits for

export const rulesQuery = queryOptions({
  queryKey: queryKeys.alerts.rules,
  queryFn: ({ signal }) =>
    allPages((cursor) =>
      unwrap(
        api.GET("/api/v1/alerts/rules", {
          params: { query: { limit: 200, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    ),
});

/** The channels, with their newest deliveries as they are now. */
export const liveChannelsQuery = queryOptions({
  ...channelsQuery,
  refetchInterval: ({ state }) =>
    state.data?.results.some(({ last_delivery }) => last_delivery?.state === "pending")
      ? POLL_INTERVAL
      : false,
});

export const channelKindsQuery = queryOptions({
  queryKey: queryKeys.alertKinds("channels"),
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/alerts/channels/kinds", { signal })),
  staleTime: Infinity,
});

/** The tags that pipelines have. */
export const tagsQuery = queryOptions({
  queryKey: queryKeys.pipelines.facets({}),
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/pipelines/facets", { signal })),
});

/** A rule with the ETag that its form needs. */
export function ruleQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.alerts.rule(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/alerts/rules/{id}", { params: { path: { id } }, signal })),
  });
}

/** A channel with the ETag that its form needs. */
export function channelQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.alerts.channel(id),
    queryFn: ({ signal }) =>
      unwrapVersioned(api.GET("/api/v1/alerts/channels/{id}", { params: { path: { id } }, signal })),
  });
}

export function deliveriesQuery(filter: DeliveryFilter) {
  return infiniteQueryOptions({
    queryKey: queryKeys.alerts.deliveries(filter),
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/alerts/deliveries", {
          params: { query: { limit: 50, ...filter, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    refetchInterval: POLL_INTERVAL,
  });
}

export function deliveryQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.alerts.delivery(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/alerts/deliveries/{id}", { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.state === "pending" ? FAST_POLL_INTERVAL : false),
  });
}

export const openAlertsQuery = infiniteQueryOptions({
  queryKey: queryKeys.alerts.open,
  queryFn: ({ pageParam, signal }) =>
    unwrap(
      api.GET("/api/v1/alerts/open", {
        params: { query: { limit: 50, ...(pageParam ? { cursor: pageParam } : {}) } },
        signal,
      }),
    ),
  initialPageParam: "",
  getNextPageParam: (page) => page.next,
  refetchInterval: POLL_INTERVAL,
});

/** A mutation after which everything about alerts is fetched again, also if it was refused. */
function useAlertMutation<Input, Output>(mutationFn: (input: Input) => Promise<Output>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.alerts.all }),
  });
}

const onceOnly = () => ({ header: { "Idempotency-Key": newIdempotencyKey() } });

export function useCreateRule() {
  return useAlertMutation((body: Schemas["RuleCreateRequest"]) =>
    unwrap(api.POST("/api/v1/alerts/rules", { params: onceOnly(), body })),
  );
}

/** Changes a rule. With an ETag, only if it is still as the form shows it. */
export function useChangeRule(id: string) {
  return useAlertMutation(({ etag, change }: { etag?: string; change: RuleChange }) =>
    unwrap(
      api.PATCH("/api/v1/alerts/rules/{id}", {
        params: { path: { id }, ...(etag && { header: { "If-Match": etag } }) },
        body: change,
      }),
    ),
  );
}

export function useDeleteRule() {
  return useAlertMutation((id: string) =>
    unwrap(api.DELETE("/api/v1/alerts/rules/{id}", { params: { path: { id } } })),
  );
}

export function useCreateChannel() {
  return useAlertMutation((body: Schemas["ChannelCreateRequest"]) =>
    unwrap(api.POST("/api/v1/alerts/channels", { params: onceOnly(), body })),
  );
}

/** Changes a channel. With an ETag, only if it is still as the form shows it. */
export function useChangeChannel(id: string) {
  return useAlertMutation(({ etag, change }: { etag?: string; change: ChannelChange }) =>
    unwrap(
      api.PATCH("/api/v1/alerts/channels/{id}", {
        params: { path: { id }, ...(etag && { header: { "If-Match": etag } }) },
        body: change,
      }),
    ),
  );
}

export function useDeleteChannel() {
  return useAlertMutation(({ id }: { id: string }) =>
    unwrap(api.DELETE("/api/v1/alerts/channels/{id}", { params: { path: { id } } })),
  );
}

/** Sends a test message, and returns its delivery. */
export function useTestChannel(id: string) {
  return useAlertMutation(() =>
    unwrap(api.POST("/api/v1/alerts/channels/{id}/test", { params: { path: { id }, ...onceOnly() } })),
  );
}

/** Sends an event again, and returns the new delivery. */
export function useReplay() {
  return useAlertMutation((id: string) =>
    unwrap(api.POST("/api/v1/alerts/deliveries/{id}/replay", { params: { path: { id }, ...onceOnly() } })),
  );
}

/** A rule, or an open alert, which can be snoozed. */
export interface Snoozed {
  kind: "rules" | "open";
  id: string;
}

export function useSnooze({ kind, id }: Snoozed) {
  return useAlertMutation((body: Schemas["SnoozeRequestRequest"]) => {
    const params = { path: { id }, ...onceOnly() };
    return kind === "rules"
      ? unwrap<unknown>(api.POST("/api/v1/alerts/rules/{id}/snooze", { params, body }))
      : unwrap<unknown>(api.POST("/api/v1/alerts/open/{id}/snooze", { params, body }));
  });
}

/** Ends a snooze. */
export function useWake({ kind, id }: Snoozed) {
  return useAlertMutation(() => {
    const params = { path: { id } };
    return kind === "rules"
      ? unwrap<unknown>(api.DELETE("/api/v1/alerts/rules/{id}/snooze", { params }))
      : unwrap<unknown>(api.DELETE("/api/v1/alerts/open/{id}/snooze", { params }));
  });
}
