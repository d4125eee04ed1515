import { momentsOf, parseDays, type Days } from "@/format/days";
import { isId } from "@/format/id";
import { parseTextFilter, type TextFilter } from "@/format/parameter";

/** The filter in the URL of the audit log. */
export interface AuditFilter extends Days, TextFilter {
  action?: string;
  actor?: string;
}

const ACTION = /^[a-z_.]{1,60}$/;

/** Returns the filter in the URL. Other parameters and values are ignored. */
export function parseAuditFilter(search: Record<string, unknown>): AuditFilter {
  const { action, actor } = search;
  return {
    ...parseTextFilter(search),
    ...(typeof action === "string" && ACTION.test(action) && { action }),
    ...(typeof actor === "string" && isId(actor) && { actor }),
    ...parseDays(search),
  };
}

/** Returns the parameters of the API. */
export function toQuery({ since, until, ...others }: AuditFilter): AuditFilter {
  return { ...others, ...momentsOf({ since, until }) };
}
