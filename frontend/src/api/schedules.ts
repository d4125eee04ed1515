import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "./client";
import type { Schedule } from "@/format/schedule";
import { queryKeys } from "./query-keys";

/** The next times of a schedule. The server computes them, because it considers daylight saving time. */
export function nextTimesQuery(schedule: Schedule | null, count: number) {
  return queryOptions({
    queryKey: queryKeys.scheduleTimes(schedule, count),
    queryFn: ({ signal }) =>
      unwrap(api.POST("/api/v1/schedules/preview", { body: { schedule, count }, signal })),
    enabled: schedule !== null,
    retry: false,
    placeholderData: keepPreviousData,
  });
}
