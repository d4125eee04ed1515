import { Button } from "@/components/button";
import { RelativeTime } from "@/components/relative-time";
import { showError } from "@/components/toast";
import { useRefreshStreams } from "./queries";

interface Props {
  connectorId: string;
  foundAt: string | null;
}

/** Says when the source has listed its streams, and asks it again. */
export function RefreshStreams({ connectorId, foundAt }: Props) {
  const refresh = useRefreshStreams(connectorId);
  return (
    <p className="ml-auto flex flex-wrap items-center gap-2 text-xs text-soft">
      <span>
        Listed <RelativeTime time={foundAt} fallback="now" />
      </span>
      <Button
        size="small"
        disabledReason={refresh.isPending ? "Refreshing" : null}
        onClick={() => refresh.mutate(undefined, { onError: (error) => showError(error) })}
      >
        {refresh.isPending ? "Refreshing…" : "Refresh"}
      </Button>
    </p>
  );
}
