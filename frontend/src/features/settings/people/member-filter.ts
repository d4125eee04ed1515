import type { Member } from "@/api/types";
import { csvText } from "@/format/csv";
import { parseText } from "@/format/parameter";

export const ROLES = ["owner", "admin", "member", "viewer"] as const;
type Role = (typeof ROLES)[number];

/** The filter in the URL of the list of members. */
export interface MemberFilter {
  q?: string;
  role?: Role;
  /** The search of the invitations below the members. */
  invited?: string;
}

/** Returns the filter in the URL. Other parameters and values are ignored. */
export function parseMemberFilter({ q, role, invited }: Record<string, unknown>): MemberFilter {
  const [text, address] = [parseText(q, 120), parseText(invited, 120)];
  const known = ROLES.find((each) => each === role);
  return { ...(text && { q: text }), ...(known && { role: known }), ...(address && { invited: address }) };
}

/** The members whose name or address has the text. */
export function membersMatching(members: Member[], text = ""): Member[] {
  const wanted = text.trim().toLowerCase();
  return members.filter(({ name, email }) =>
    [name, email].some((each) => each.toLowerCase().includes(wanted)),
  );
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
