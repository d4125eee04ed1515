import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useSyncExternalStore } from "react";
import { queryKeys } from "@/api/query-keys";
import { authorizedFetch, currentSession, onSessionChange } from "@/api/session";
import type { RunRow } from "@/api/types";
import { followStream } from "./event-stream";
import { useMayFollow } from "./visibility";

const REFRESH_DELAY = 1_000; // milliseconds, so that a list is refreshed at most once per second
const OVERVIEW_DELAY = 3_000; // the overview is about all pipelines, so it is refreshed less often

/** The one stream of this tab, and how many components follow it. */
let stream: { org: string; stop: () => void } | undefined;
let followers = 0;
/** Those who change the rows of pipelines themselves. While there is one, events do not refresh the lists of pipelines. */
const runListeners = new Set<(run: RunRow) => void>();

/** Fetches the overview and the lists of pipelines and runs again when a run of the organization changes its status or
 * finds changes at its source. With `onRun`, the page changes its own rows of pipelines instead: it gets the new state of
 * each run. All components of a tab share one stream. */
export function useOrgEvents(onRun?: (run: RunRow) => void): void {
  const client = useQueryClient();
  const mayFollow = useMayFollow();
  const org = useSyncExternalStore(onSessionChange, currentOrg);
  const handleRun = useRef(onRun);
  useEffect(() => {
    handleRun.current = onRun;
  });
  const hasListener = onRun !== undefined;
  useEffect(() => {
    if (!hasListener) return;
    const listener = (run: RunRow) => handleRun.current?.(run);
    runListeners.add(listener);
    return () => {
      runListeners.delete(listener);
    };
  }, [hasListener]);
  useEffect(() => {
    if (!mayFollow || org === undefined) return;
    followers += 1;
    if (stream?.org !== org) {
      stream?.stop();
      stream = { org, stop: startStream(client) };
    }
    return () => {
      followers -= 1;
      // After a navigation the next page begins to follow before this runs.
      queueMicrotask(() => {
        if (followers > 0) return;
        stream?.stop();
        stream = undefined;
      });
    };
  }, [client, mayFollow, org]);
}

function currentOrg(): string | undefined {
  const state = currentSession();
  return state.status === "logged-in" ? state.session.organization?.id : undefined;
}

function startStream(client: QueryClient): () => void {
  const abort = new AbortController();
  const refreshPipelines = delayed(REFRESH_DELAY, () => {
    void client.invalidateQueries({ queryKey: queryKeys.pipelines.all });
  });
  const refreshRuns = delayed(REFRESH_DELAY, () => {
    void client.invalidateQueries({ queryKey: queryKeys.runs.lists });
  });
  const refreshOverview = delayed(OVERVIEW_DELAY, () => {
    void client.invalidateQueries({ queryKey: queryKeys.overview.all });
  });
  followStream({
    url: "/api/v1/events",
    signal: abort.signal,
    fetch: authorizedFetch,
    onEvent: ({ event, data }) => {
      if (event !== "run" && event !== "drift") return;
      if (event === "run" && runListeners.size > 0) {
        const run = JSON.parse(data) as RunRow;
        runListeners.forEach((listener) => listener(run));
      } else refreshPipelines.request();
      refreshRuns.request();
      refreshOverview.request();
    },
  }).catch(() => {
    // If the stream is refused, the lists are still polled. The next page tries again.
    if (!abort.signal.aborted) stream = undefined;
  });
  return () => {
    abort.abort();
    refreshPipelines.cancel();
    refreshRuns.cancel();
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
