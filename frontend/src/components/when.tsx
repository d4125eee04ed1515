import { absoluteTime, relativeTime } from "@/format/time";
import { useNow } from "./clock";

/** A moment relative to now; the absolute one, in the viewer's zone, is the tooltip. */
export function When({ at, none = "–" }: { at: string | null | undefined; none?: string }) {
  const now = useNow();
  if (!at) return <span className="text-faint">{none}</span>;
  return (
    <time dateTime={at} title={absoluteTime(at)} className="whitespace-nowrap">
      {relativeTime(at, now)}
    </time>
  );
}
