import { isId } from "@/format/id";

/** The filter in the URL of the audit log. The days are dates in the user's time zone, such as 2026-03-01. */
export interface AuditFilter {
  action?: string;
  actor?: string;
  since?: string;
  until?: string;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const ACTION = /^[a-z_.]{1,60}$/;

/** Returns the filter in the URL. Other parameters and values are ignored. */
export function parseAuditFilter(search: Record<string, unknown>): AuditFilter {
  const valid = (name: keyof AuditFilter, isValid: (text: string) => boolean) => {
    const value = search[name];
    return typeof value === "string" && isValid(value) ? { [name]: value } : {};
  };
  return {
    ...valid("action", (text) => ACTION.test(text)),
    ...valid("actor", isId),
    ...valid("since", (text) => DAY.test(text)),
    ...valid("until", (text) => DAY.test(text)),
  };
}

/** Returns the parameters of the API, whose times are moments. `until` includes its day. */
export function toQuery({ since, until, ...others }: AuditFilter): AuditFilter {
  return {
    ...others,
    ...(since && { since: moment(since, 0) }),
    ...(until && { until: moment(until, 1) }),
  };
}

function moment(day: string, daysLater: number): string {
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + daysLater);
  return date.toISOString();
}
