import { api, unwrap } from "./client";
import { queryKeys } from "./query-keys";

/** Whether a language model answers in the agent, and which. */
export const agentStatusQuery = {
  queryKey: queryKeys.languageModel.status,
  queryFn: () => unwrap(api.GET("/api/v1/agent/status")),
};
