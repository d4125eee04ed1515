import type { PipelineRow } from "@/api/types";
import { ArrowIcon } from "@/components/icons";
import { Name } from "@/components/name";
import { countWithNoun, formatCount } from "@/format/number";

/** Shows source and destination, such as `Shop -> Warehouse`, and the stream if there is one. */
export function RouteLine({
  source,
  destination,
  stream,
}: {
  source: string;
  destination: string;
  stream?: string;
}) {
  return (
    <span className="flex max-w-full min-w-0 items-center gap-1.5 text-[0.8125rem] text-soft">
      <span className="truncate" title={stream ? `${source} · ${stream}` : source}>
        <bdi>{source}</bdi>
        {stream && <span className="text-faint max-sm:hidden"> · {stream}</span>}
      </span>
      <ArrowIcon
        className="shrink-0 text-faint"
        width="13"
        height="13"
        role="img"
        aria-hidden={undefined}
        aria-label="to"
      />
      <span className="truncate" title={destination}>
        <bdi>{destination}</bdi>
      </span>
    </span>
  );
}

/** The pipeline's only stream, or the first one and the number of the others, or its patterns and the number of streams. */
export function streamsInWords({
  stream,
  stream_count,
}: Pick<PipelineRow, "stream" | "stream_count">): string {
  if (stream.includes("*") && stream_count > 0) return `${stream} (${countWithNoun(stream_count, "stream")})`;
  return stream_count > 1 ? `${stream} + ${formatCount(stream_count - 1)} more` : stream;
}

export function Tag({ children }: { children: string }) {
  return (
    <Name
      cut
      className="inline-block! max-w-32 rounded border border-line px-1.5 text-xs leading-5 text-soft"
    >
      {children}
    </Name>
  );
}

export function PausedBadge({ schedule }: Pick<PipelineRow, "schedule">) {
  if (!schedule?.paused_at) return null;
  return (
    <span
      className="ml-2 rounded border border-line px-1.5 text-xs text-wait"
      title={schedule.paused_note || "No note"}
    >
      Paused
    </span>
  );
}
