import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch } from "@/api/session";
import { followStream } from "./event-stream";
import { useTabVisible } from "./visibility";

const REFRESH_DELAY = 1_000; // milliseconds, so that a list is refreshed at most once per second

/** Fetches the lists of pipelines and runs again when a run of the organization changes its status or finds changes at its
 * source. */
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
    followStream({
      url: "/api/v1/events",
      signal: abort.signal,
      fetch: authorizedFetch,
      onEvent: ({ event }) => {
        if (event === "run" || event === "drift") timer ??= setTimeout(refresh, REFRESH_DELAY);
      },
    }).catch(() => undefined); // If the stream is refused, the lists are still polled.
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [client, visible]);
}
