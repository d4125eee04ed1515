import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch } from "@/api/session";
import { followStream } from "./event-stream";
import { useTabVisible } from "./visibility";

const REFRESH_DELAY = 1_000; // milliseconds, so that a list is refreshed at most once per second
const OVERVIEW_DELAY = 3_000; // the overview is about all pipelines, so it is refreshed less often

/** The one stream of this tab, and how many components follow it. */
let followers = 0;
let stop: (() => void) | undefined;

/** Fetches the overview and the lists of pipelines and runs again when a run of the organization changes its status or
 * finds changes at its source. All components of a tab share one stream. */
export function useOrgEvents(): void {
  const client = useQueryClient();
  const visible = useTabVisible();
  useEffect(() => {
    if (!visible) return;
    followers += 1;
    stop ??= startStream(client);
    return () => {
      followers -= 1;
      // The next page of a navigation begins to follow before this runs.
      queueMicrotask(() => {
        if (followers > 0) return;
        stop?.();
        stop = undefined;
      });
    };
  }, [client, visible]);
}

function startStream(client: QueryClient): () => void {
  const abort = new AbortController();
  const refreshLists = delayed(REFRESH_DELAY, () => {
    void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
    void client.invalidateQueries({ queryKey: queryKeys.runs.lists });
  });
  const refreshOverview = delayed(OVERVIEW_DELAY, () => {
    void client.invalidateQueries({ queryKey: queryKeys.overview.all });
  });
  followStream({
    url: "/api/v1/events",
    signal: abort.signal,
    fetch: authorizedFetch,
    onEvent: ({ event }) => {
      if (event !== "run" && event !== "drift") return;
      refreshLists.request();
      refreshOverview.request();
    },
  }).catch(() => undefined); // If the stream is refused, the lists are still polled.
  return () => {
    abort.abort();
    refreshLists.cancel();
    refreshOverview.cancel();
  };
}

/** Calls `action` once after this delay, however often it was requested meanwhile. */
function delayed(milliseconds: number, action: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    request() {
      timer ??= setTimeout(() => {
        timer = undefined;
        action();
      }, milliseconds);
    },
    cancel() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
