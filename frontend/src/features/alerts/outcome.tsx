import type { AlertDelivery } from "@/api/types";
import { RelativeTime } from "@/components/relative-time";
import { StatusBadge } from "@/components/status";
import { momentInWords } from "@/format/time";
import { STATE_WORDS } from "./search";

const STATUSES = {
  pending: "pending",
  sent: "succeeded",
  failed: "failed",
  snoozed: "cancelled",
  skipped: "cancelled",
} as const;

/** The state of a delivery. One that is sent again after a failed attempt says so. */
export function DeliveryState({
  state,
  attempts,
  held_until,
}: Pick<AlertDelivery, "state" | "attempts" | "held_until">) {
  const isPending = state === "pending";
  const label =
    isPending && attempts > 0 ? "Retrying" : isPending && held_until ? "Waiting" : STATE_WORDS[state];
  return <StatusBadge status={STATUSES[state]} label={label} />;
}

/** What the other side has answered, or why nothing arrived there. */
export function Outcome({ delivery }: { delivery: AlertDelivery }) {
  const { state, attempts, problem, answer, answer_status, next_attempt_at, held_until } = delivery;
  if (state === "sent")
    return (
      <>
        Accepted{answer_status !== null && ` with status ${answer_status}`}
        {answer ? <>: {answer}</> : "."}
      </>
    );
  if (state === "failed") return <>{problem || "It was not accepted."}</>;
  if (state !== "pending") return <>{problem}</>;
  if (held_until)
    return (
      <>
        It is sent at <time dateTime={held_until}>{momentInWords(held_until)}</time>, after the quiet hours or
        with the digest of the channel.
      </>
    );
  if (attempts === 0) return <>It is being sent…</>;
  return (
    <>
      {problem} It is sent again <RelativeTime time={next_attempt_at} />
    </>
  );
}
