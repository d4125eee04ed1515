import type { Pipeline } from "@/api/types";
import type { Values } from "@/format/merge";

type Schedule = Pipeline["schedule"];

/** The values of the form of a schedule: its times as one value, because they only make sense together. */
export function scheduleValues(schedule: Schedule): Values {
  if (!schedule) return { times: null, overlap: "skip", misfire: "run_once", blackouts: [], end_date: null };
  const { cron, interval_seconds, timezone, overlap, misfire, blackouts, end_date } = schedule;
  const times = interval_seconds ? { interval_seconds, timezone } : { cron, timezone };
  return { times, overlap, misfire, blackouts, end_date };
}
