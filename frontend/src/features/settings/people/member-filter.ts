import type { Member } from "@/api/types";
import { csvText } from "@/format/csv";
import { isFound, MAX_SEARCH_LENGTH, parseText, parseTextFilter, type TextFilter } from "@/format/parameter";

export const ROLES = ["owner", "admin", "member", "viewer"] as const;
type Role = (typeof ROLES)[number];

/** The filter in the URL of the list of members. */
export interface MemberFilter extends TextFilter {
  role?: Role;
  /** The search of the invitations below the members. */
  invited?: string;
}

/** Returns the filter in the URL. Other parameters and values are ignored. */
export function parseMemberFilter({ q, role, invited }: Record<string, unknown>): MemberFilter {
  const address = parseText(invited, MAX_SEARCH_LENGTH);
  const known = ROLES.find((each) => each === role);
  return { ...parseTextFilter({ q }), ...(known && { role: known }), ...(address && { invited: address }) };
}

/** The members whose name or address has the text. */
export function membersMatching(members: Member[], text = ""): Member[] {
  return members.filter(({ name, email }) => isFound(text, name, email));
}

export function membersAsCsv(members: Member[]): string {
  const rows = members.map(({ name, email, kind, role, created_at }) => [
    name,
    kind === "service" ? "" : email,
    kind,
    role,
    created_at,
  ]);
  return csvText([["name", "email", "kind", "role", "joined"], ...rows]);
}
