import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { runsQuery } from "@/api/runs";
import type { RunRow } from "@/api/types";
import { useNow } from "@/components/clock";
import { shortTime, relativeTime } from "@/format/time";
import { isOrdinary } from "./queries";

const OFFERED_RUNS = 50;

/** Chooses the run with which a run is compared, among the newest runs of its pipeline. */
export function OtherRunPicker({ run, other }: { run: RunRow; other: RunRow }) {
  const navigate = useNavigate();
  const now = useNow();
  const { data } = useInfiniteQuery(runsQuery({ pipeline: run.pipeline.id }, OFFERED_RUNS));
  const newest = (data?.pages.flatMap(({ results }) => results) ?? []).filter(isOrdinary);
  const others = newest.filter(({ id }) => id !== run.id);
  // The address may name a run that is not among the newest, or the run itself.
  const offered = others.some(({ id }) => id === other.id) ? others : [other, ...others];
  return (
    <label className="grid gap-1 text-[0.8125rem]">
      <span className="text-soft">Compare with</span>
      <select
        className="control w-auto! max-w-full"
        value={other.id}
        onChange={({ target }) =>
          void navigate({
            to: "/runs/$runId/compare/$otherId",
            params: { runId: run.id, otherId: target.value },
          })
        }
      >
        {offered.map(({ id, created_at, status }) => (
          <option key={id} value={id}>
            {id === run.id
              ? "The run itself: choose another"
              : `${shortTime(created_at)} (${relativeTime(created_at, now)}), ${status}`}
          </option>
        ))}
      </select>
    </label>
  );
}
