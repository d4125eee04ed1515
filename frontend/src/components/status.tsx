import type { RunStatus } from "@/api/types";
import { STATUS_WORDS } from "@/api/status-words";
import { classNames } from "./class-names";

const STATUS_CLASSES: Record<RunStatus, string> = {
  pending: "bg-wait-wash text-wait",
  running: "bg-live-wash text-live",
  succeeded: "bg-good-wash text-good",
  failed: "bg-bad-wash text-bad",
  cancelled: "bg-hover text-soft",
};

interface Props {
  status: RunStatus;
  /** Another word for the status. */
  label?: string;
  className?: string;
}

export function StatusBadge({ status, label, className }: Props) {
  return (
    <span
      data-status={status}
      className={classNames(
        "inline-flex h-5.5 items-center gap-1.5 rounded-full px-2 text-xs font-medium whitespace-nowrap",
        STATUS_CLASSES[status],
        className,
      )}
    >
      <span
        aria-hidden="true"
        className={classNames("size-1.5 rounded-full bg-current", status === "running" && "animate-breathe")}
      />
      {label ?? STATUS_WORDS[status]}
    </span>
  );
}
