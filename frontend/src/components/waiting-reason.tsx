import type { RunRow } from "@/api/types";
import { useNow } from "./clock";
import { RelativeTime } from "./relative-time";

/** Why a waiting run waits: until when, or else for what. Empty for other runs. */
export function WaitingReason({ run }: { run: RunRow }) {
  const now = useNow();
  if (run.status !== "pending") return null;
  if (!run.not_before || Date.parse(run.not_before) <= now)
    return run.waiting_reason ?? "waiting for a worker";
  return (
    <>
      {run.attempt > 0 ? "next attempt" : "starts"} <RelativeTime time={run.not_before} />
    </>
  );
}
