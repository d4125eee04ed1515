import type { Pipeline } from "@/api/types";
import type { Values } from "@/format/merge";

type Schedule = Pipeline["schedule"];

/** The values of the form of a schedule: its times as one value, because they only make sense together. */
export function scheduleValues(schedule: Schedule): Values {
  if (!schedule) return { times: null, overlap: "skip", misfire: "run_once" };
  const { cron, interval_seconds, timezone, overlap, misfire } = schedule;
  const times = interval_seconds ? { interval_seconds, timezone } : { cron, timezone };
  return { times, overlap, misfire };
}
