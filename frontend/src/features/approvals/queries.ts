import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { TextFilter } from "@/format/parameter";

const PATH = "/api/v1/agent/tool-requests/{id}";
const REFRESH = 5_000; // milliseconds, until the program has collected the result

export function toolRequestQuery(id: string) {
  return queryOptions({
    queryKey: queryKeys.toolRequests.one(id),
    queryFn: ({ signal }) => unwrap(api.GET(PATH, { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) =>
      state.data?.state === "approved" || state.data?.state === "begun" ? REFRESH : false,
  });
}

/** The requests that wait for a decision of the user, the newest first. */
export function openRequestsQuery(filter: TextFilter) {
  return infiniteQueryOptions({
    queryKey: queryKeys.toolRequests.open(filter),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/agent/tool-requests", {
          params: { query: { ...filter, limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: keepPreviousData, // the list does not vanish while a search is typed
  });
}

export interface DecisionInput {
  decision: "approve" | "reject";
  reason: string;
}

export function useDecide(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (input: DecisionInput) =>
      unwrap(
        api.POST(`${PATH}/decision`, {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
          body: input,
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.toolRequests.all }),
  });
}
