/** A range of days in the URL, as dates in the user's time zone such as 2026-03-01. Both days are included. */
export interface Days {
  since?: string;
  until?: string;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Returns the range in the URL. Other parameters and values are ignored. */
export function parseDays({ since, until }: Record<string, unknown>): Days {
  return { ...(isDay(since) && { since }), ...(isDay(until) && { until }) };
}

function isDay(value: unknown): value is string {
  return typeof value === "string" && DAY.test(value) && !Number.isNaN(Date.parse(value));
}

/** Returns the range as moments, as the API filters by. The end is the start of the day after `until`. */
export function momentsOf({ since, until }: Days): Days {
  return { ...(since && { since: moment(since, 0) }), ...(until && { until: moment(until, 1) }) };
}

function moment(day: string, daysLater: number): string {
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + daysLater);
  return date.toISOString();
}
