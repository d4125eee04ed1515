import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import { forgetDeleted } from "@/api/deletion";
import { saveFile } from "@/api/download";
import { queryKeys } from "@/api/query-keys";
import type { Member } from "@/api/types";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { FilterBar, FilterSelect, NoMatch } from "@/components/filter-bar";
import { Name } from "@/components/name";
import { RelativeTime } from "@/components/relative-time";
import { showError } from "@/components/toast";
import { formatCount } from "@/format/number";
import { useHasPermission, useSession } from "@/session/use-session";
import { QueryContent, RoleSelect, Section, type Role } from "@/components/section";
import { STACKED_ROW, STACKED_TABLE } from "@/components/stacked-table";
import { InvitationsSection } from "./invitations-section";
import { membersAsCsv, membersMatching, parseMemberFilter, ROLES, type MemberFilter } from "./member-filter";
import { MemberPermissions } from "./member-permissions";
import { membersQuery } from "@/api/members";

export function MembersPage() {
  const hasPermission = useHasPermission();
  return (
    <>
      <MembersSection />
      {hasPermission("invitations.manage") && <InvitationsSection />}
    </>
  );
}

function MembersSection() {
  const client = useQueryClient();
  const session = useSession();
  const hasPermission = useHasPermission();
  const [memberToRemove, setMemberToRemove] = useState<Member | null>(null);
  const [inspectedMember, setInspectedMember] = useState<Member | null>(null);
  const members = useQuery(membersQuery);
  const navigate = useNavigate({ from: "/settings/members" });
  const filter = parseMemberFilter({ ...useSearch({ from: "/app/settings/members" }) });
  const found = membersMatching(members.data?.results ?? [], filter.q);
  const shown = found.filter(({ role }) => !filter.role || role === filter.role);
  const invalidate = () => client.invalidateQueries({ queryKey: membersQuery.queryKey });
  const change = useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role }) =>
      unwrap(api.PATCH("/api/v1/org/members/{id}", { params: { path: { id } }, body: { role } })),
    onSettled: invalidate,
    onError: (error) => showError(error),
  });
  const remove = useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/org/members/{id}", { params: { path: { id } } })),
    onSuccess: (_nothing, id) => {
      if (inspectedMember?.id === id) setInspectedMember(null);
      return forgetDeleted(client, { deleted: queryKeys.members.one(id), refreshed: queryKeys.members.all });
    },
    onError: invalidate,
  });
  const canManage = hasPermission("members.manage");
  const clear = () => void navigate({ search: (current) => ({ ...current, q: undefined, role: undefined }) });
  const ownRole = session?.organization?.role ?? "viewer";
  const mayChange = ({ role }: Member) => canManage && (ownRole === "owner" || role !== "owner");
  return (
    <Section
      title="Members"
      description="Roles apply to the whole organization. A domain can grant a higher role."
      action={
        <Button
          disabledReason={shown.length === 0 ? "No members to download" : null}
          onClick={() => saveFile(new Blob([membersAsCsv(shown)], { type: "text/csv" }), "members.csv")}
        >
          Download CSV
        </Button>
      }
    >
      <Filters filter={filter} found={found} onClear={clear} />
      <QueryContent query={members}>
        {() =>
          shown.length === 0 ? (
            <NoMatch items="members" onClear={clear} />
          ) : (
            <div className="relative overflow-x-auto">
              <table className={`table w-full border-collapse ${STACKED_TABLE}`}>
                <thead>
                  <tr>
                    <th scope="col">Member</th>
                    <th scope="col">Role</th>
                    <th scope="col" className="max-sm:hidden">
                      Joined
                    </th>
                    <th scope="col">
                      <span className="sr-only">Actions</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {shown.map((member) => (
                    <tr key={member.id} className={STACKED_ROW}>
                      <td className="wrap-anywhere max-sm:w-full">
                        <p className="font-medium">
                          <Name>{member.name || member.email}</Name>
                          {member.user_id === session?.user.id && (
                            <span className="ml-1.5 font-normal text-faint">you</span>
                          )}
                        </p>
                        <p className="text-[0.8125rem] text-faint">
                          {member.kind === "service" ? "Service account" : <Name>{member.email}</Name>}
                        </p>
                      </td>
                      <td>
                        {mayChange(member) ? (
                          <RoleSelect
                            label={`Role of ${member.name || member.email}`}
                            value={member.role}
                            highestRole={member.kind === "service" ? "admin" : ownRole}
                            onChange={(role) => change.mutate({ id: member.id, role })}
                          />
                        ) : (
                          member.role
                        )}
                      </td>
                      <td className="text-soft max-sm:hidden">
                        <RelativeTime time={member.created_at} />
                      </td>
                      <td>
                        <div className="flex justify-end gap-2">
                          <Button size="small" look="quiet" onClick={() => setInspectedMember(member)}>
                            View permissions<span className="sr-only"> of {member.name || member.email}</span>
                          </Button>
                          {mayChange(member) && member.user_id !== session?.user.id && (
                            <Button size="small" look="danger" onClick={() => setMemberToRemove(member)}>
                              Remove<span className="sr-only"> {member.name || member.email}</span>
                            </Button>
                          )}
                        </div>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </QueryContent>
      {inspectedMember && (
        <MemberPermissions member={inspectedMember} onClose={() => setInspectedMember(null)} />
      )}
      <DestroyDialog
        target={memberToRemove}
        nameOf={({ name, email }) => name || email}
        verb="Remove"
        destruction={{ ...remove, mutate: ({ id }, options) => remove.mutate(id, options) }}
        onClose={() => setMemberToRemove(null)}
      >
        Their access ends immediately, and their API keys stop working. Everything else they created is kept.
      </DestroyDialog>
    </Section>
  );
}

interface FilterProps {
  filter: MemberFilter;
  /** The members that the search has found, in all roles. */
  found: Member[];
  onClear: () => void;
}

function Filters({ filter, found, onClear }: FilterProps) {
  const navigate = useNavigate({ from: "/settings/members" });
  const change = (next: MemberFilter, replace = false) =>
    void navigate({ search: (current) => ({ ...current, ...next }), replace });
  const ownFilter = { q: filter.q, role: filter.role };
  const count = (role: Role) => formatCount(found.filter((member) => member.role === role).length);
  const words = Object.fromEntries(ROLES.map((role) => [role, `${role} (${count(role)})`]));
  return (
    <FilterBar
      items="members"
      filter={ownFilter}
      onSearch={(q, replace) => change({ q }, replace)}
      onClear={onClear}
    >
      <FilterSelect
        label="Role"
        any={`All roles (${formatCount(found.length)})`}
        value={filter.role}
        words={words as Record<Role, string>}
        onChange={(role) => change({ role })}
      />
    </FilterBar>
  );
}
