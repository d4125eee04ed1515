import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "./client";
import { queryKeys } from "./query-keys";
import type { TimedSchedule } from "./types";

/** The next times of a schedule. The server computes them, because it considers daylight saving time. */
export function nextTimesQuery(schedule: TimedSchedule | null, count: number) {
  return queryOptions({
    queryKey: queryKeys.scheduleTimes(schedule, count),
    queryFn: ({ signal }) =>
      unwrap(api.POST("/api/v1/schedules/preview", { body: { schedule, count }, signal })),
    enabled: schedule !== null,
    retry: false,
    placeholderData: keepPreviousData,
  });
}
