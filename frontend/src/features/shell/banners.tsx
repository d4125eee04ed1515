import { useSyncExternalStore } from "react";
import { hasNewRelease, onNewRelease } from "@/api/release";
import { Button } from "@/components/button";

/** Says above every page that the browser is offline, or that the server has a newer dashboard. */
export function Banners() {
  const isOnline = useSyncExternalStore(subscribeToNetwork, () => navigator.onLine);
  const isOutdated = useSyncExternalStore(onNewRelease, hasNewRelease);
  return (
    <>
      {!isOnline && (
        <p role="status" className="border-b border-line bg-wait-wash px-4 py-2 text-wait md:px-6">
          You are offline. The page shows what was loaded before, and is refreshed when the connection is
          back.
        </p>
      )}
      {isOutdated && (
        <div
          role="status"
          className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-live-wash px-4 py-1.5 md:px-6"
        >
          A new version of Drover is installed. Reload the page to use it; save what you have typed first.
          <Button size="small" onClick={() => location.reload()}>
            Reload
          </Button>
        </div>
      )}
    </>
  );
}

function subscribeToNetwork(listener: () => void): () => void {
  addEventListener("online", listener);
  addEventListener("offline", listener);
  return () => {
    removeEventListener("online", listener);
    removeEventListener("offline", listener);
  };
}
