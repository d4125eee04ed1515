import type { AlertDelivery } from "@/api/types";
import { Button } from "@/components/button";
import { showError, showSuccess } from "@/components/toast";
import { useReplay } from "./queries";

interface Props {
  delivery: AlertDelivery;
  size?: "small";
  /** Gets the new delivery. */
  onSent?: (id: string) => void;
}

/** Sends the event again, with the same event id. */
export function ReplayButton({ delivery, size, onSent }: Props) {
  const replay = useReplay();
  const reason =
    delivery.state === "pending" ? "It is still being sent" : replay.isPending ? "Working on it" : null;
  function send() {
    replay.mutate(delivery.id, {
      onSuccess: ({ id }) => {
        showSuccess(`It is sent again to ${delivery.channel.name}.`);
        onSent?.(id);
      },
      onError: (error) => showError(error),
    });
  }
  return (
    <Button size={size} disabledReason={reason} title={reason ?? undefined} onClick={send}>
      Send again
      <span className="sr-only">
        {" "}
        {delivery.event.subject?.name ?? "test message"} to {delivery.channel.name}
      </span>
    </Button>
  );
}
