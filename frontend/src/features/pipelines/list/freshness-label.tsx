import type { PipelineRow } from "@/api/types";
import { useNow } from "@/components/clock";
import { FreshnessMark } from "@/components/freshness-mark";
import { FRESHNESS_WORDS } from "@/api/status-words";
import { absoluteTime, relativeTime } from "@/format/time";

/** Whether the pipeline delivers what its schedule promises, and when it last did. */
export function FreshnessLabel({ row }: { row: PipelineRow }) {
  const word = row.freshness === "none" ? reasonWithoutFreshness(row) : FRESHNESS_WORDS[row.freshness];
  return (
    <FreshnessMark freshness={row.freshness} title={inWords(row, word)}>
      <span className="whitespace-nowrap">{word}</span>
      {row.freshness !== "none" && <Since row={row} />}
    </FreshnessMark>
  );
}

function Since({ row }: { row: PipelineRow }) {
  const now = useNow();
  const time = row.freshness === "failing" ? row.failing_since : row.last_success_at;
  if (!time) return null;
  return <span className="truncate text-xs text-faint max-md:hidden">{relativeTime(time, now)}</span>;
}

/** Why nothing is promised, or nothing has been delivered yet. */
function reasonWithoutFreshness({ enabled, schedule }: PipelineRow): string {
  if (!enabled) return "Disabled";
  if (schedule?.paused_at) return "Paused";
  return schedule ? "Not run yet" : "No schedule";
}

function inWords({ last_success_at, failing_since, late_at, schedule }: PipelineRow, word: string): string {
  const parts = [word];
  if (schedule?.paused_note) parts.push(schedule.paused_note);
  if (failing_since) parts.push(`failing since ${absoluteTime(failing_since)}`);
  parts.push(last_success_at ? `last success ${absoluteTime(last_success_at)}` : "no success yet");
  if (late_at) parts.push(`late from ${absoluteTime(late_at)}`);
  return parts.join("; ");
}
