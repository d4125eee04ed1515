import { Link } from "@tanstack/react-router";
import { classNames } from "@/components/class-names";
import { Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { WaitingReason } from "@/components/waiting-reason";
import { Name } from "@/components/name";
import { formatCount } from "@/format/number";
import type { ListProps } from "./attention-list";

/** The first waiting runs, with their places and why they wait. */
export function QueueList({ overview, isCompact }: ListProps) {
  return (
    <section
      aria-labelledby="queue-title"
      className={classNames(
        "card flex min-w-0 flex-col overflow-hidden",
        isCompact ? "h-36" : "h-60 @4xl/page:h-96",
      )}
    >
      <div className="flex items-baseline justify-between gap-3 border-b border-line px-4 py-2.5">
        <h2 id="queue-title" className="font-semibold">
          Queue{" "}
          {overview && overview.waiting > 0 && (
            <span className="font-normal text-faint tabular-nums">{formatCount(overview.waiting)}</span>
          )}
        </h2>
        <Link to="/queue" className="text-[0.8125rem] text-soft hover:text-ink hover:underline">
          Open queue
        </Link>
      </div>
      {!overview && <Skeletons />}
      {overview && overview.queue.length === 0 && (
        <p className="px-4 py-2.5 text-soft">
          No run is waiting.{" "}
          {overview.running > 0 &&
            (overview.running === 1 ? "One run is running." : `${overview.running} runs are running.`)}
        </p>
      )}
      {overview && overview.queue.length > 0 && (
        <ol
          tabIndex={0}
          aria-labelledby="queue-title"
          className="relative divide-y divide-line overflow-y-auto"
        >
          {overview.queue.map((run) => (
            <li key={run.id} className="flex items-baseline gap-3 px-4 py-2">
              <span className="w-6 shrink-0 text-right text-faint tabular-nums">{run.place_in_line}</span>
              <span className="min-w-0 flex-1">
                <Link
                  to="/runs/$runId"
                  params={{ runId: run.id }}
                  className="block font-medium hover:underline"
                >
                  <Name cut>{run.pipeline.name}</Name>
                </Link>
                <span className="block truncate text-[0.8125rem] text-soft first-letter:uppercase">
                  <WaitingReason run={run} />
                </span>
              </span>
              <span className="shrink-0 text-xs text-faint">
                <RelativeTime time={run.created_at} />
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
