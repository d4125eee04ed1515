import type { AlertDelivery } from "@/api/types";
import { RelativeTime } from "@/components/relative-time";
import { StatusBadge } from "@/components/status";
import { STATE_WORDS } from "./search";

const STATUSES = { pending: "pending", sent: "succeeded", failed: "failed" } as const;

/** The state of a delivery. One that is sent again after a failed attempt says so. */
export function DeliveryState({ state, attempts }: Pick<AlertDelivery, "state" | "attempts">) {
  const label = state === "pending" && attempts > 0 ? "Retrying" : STATE_WORDS[state];
  return <StatusBadge status={STATUSES[state]} label={label} />;
}

/** What the other side has answered, or why nothing arrived there. */
export function Outcome({ delivery }: { delivery: AlertDelivery }) {
  const { state, attempts, problem, answer, answer_status, next_attempt_at } = delivery;
  if (state === "sent")
    return (
      <>
        Accepted{answer_status !== null && ` with status ${answer_status}`}
        {answer ? <>: {answer}</> : "."}
      </>
    );
  if (state === "failed") return <>{problem || "It was not accepted."}</>;
  if (attempts === 0) return <>It is being sent…</>;
  return (
    <>
      {problem} It is sent again <RelativeTime time={next_attempt_at} />.
    </>
  );
}
