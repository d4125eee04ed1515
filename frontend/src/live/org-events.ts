import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch } from "@/api/session";
import { follow } from "./event-stream";
import { useTabVisible } from "./visibility";

const PAUSE = 1_000; // milliseconds: a busy organization refreshes a list once a second, not per event

/** Lists that show runs are fetched again when a run of the organization changes its state. */
export function useOrgEvents(): void {
  const client = useQueryClient();
  const visible = useTabVisible();
  useEffect(() => {
    if (!visible) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    function refresh() {
      timer = undefined;
      void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
      void client.invalidateQueries({ queryKey: queryKeys.runs.lists });
    }
    follow({
      url: "/api/v1/events",
      signal: abort.signal,
      fetch: authorizedFetch,
      onEvent: ({ event }) => {
        if (event === "run") timer ??= setTimeout(refresh, PAUSE);
      },
    }).catch(() => undefined); // refused: the lists are still polled
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [client, visible]);
}
