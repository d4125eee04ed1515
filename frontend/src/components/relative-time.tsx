import { absoluteTime, relativeTime } from "@/format/time";
import { useNow } from "./clock";

interface Props {
  time: string | null | undefined;
  /** The text that is shown if there is no time. */
  fallback?: string;
}

/** A time relative to now. Its tooltip is the absolute time in the user's time zone. */
export function RelativeTime({ time, fallback = "–" }: Props) {
  const now = useNow();
  if (!time) return <span className="text-faint">{fallback}</span>;
  return (
    <time dateTime={time} title={absoluteTime(time)} className="whitespace-nowrap">
      {relativeTime(time, now)}
    </time>
  );
}
