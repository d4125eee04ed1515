import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { forgetDeleted } from "@/api/deletion";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { Member } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Field, TextField } from "@/components/field";
import { EmptyState, ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { useHasPermission, useSession } from "@/session/use-session";
import { domainsQuery } from "./domains-page";
import { QueryContent, RoleSelect, Section, type Role } from "./section";

const LARGEST_PAGE = { params: { query: { limit: 200 } } } as const;

export const membersQuery = {
  queryKey: queryKeys.members.all,
  queryFn: () => unwrap(api.GET("/api/v1/org/members", LARGEST_PAGE)),
};

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
  const invalidate = () => client.invalidateQueries({ queryKey: membersQuery.queryKey });
  const change = useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role }) =>
      unwrap(api.PATCH("/api/v1/org/members/{id}", { params: { path: { id } }, body: { role } })),
    onSettled: invalidate,
    onError: (error) => showError(error),
  });
  const remove = useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/org/members/{id}", { params: { path: { id } } })),
    onSuccess: (_nothing, id) =>
      forgetDeleted(client, { deleted: queryKeys.members.one(id), refreshed: queryKeys.members.all }),
    onError: (error) => {
      showError(error);
      void invalidate();
    },
  });
  const canManage = hasPermission("members.manage");
  const ownRole = session?.organization?.role ?? "viewer";
  return (
    <Section
      title="Members"
      description="Roles apply to the whole organization. A domain can grant a higher role."
    >
      <QueryContent query={members}>
        {({ results }) => (
          <div className="relative overflow-x-auto">
            <table className="table w-full border-collapse">
              <thead>
                <tr>
                  <th scope="col">Member</th>
                  <th scope="col">Role</th>
                  <th scope="col" className="max-sm:hidden">
                    {" "}
                    Joined{" "}
                  </th>
                  <th scope="col">
                    <span className="sr-only">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {results.map((member) => (
                  <tr key={member.id}>
                    <td>
                      <p className="font-medium">{member.name || member.email}</p>
                      <p className="text-[0.8125rem] text-faint">
                        {member.kind === "service" ? "service account" : member.email}
                      </p>
                    </td>
                    <td>
                      {canManage && (ownRole === "owner" || member.role !== "owner") ? (
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
                        {canManage && member.user_id !== session?.user.id && (
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
        )}
      </QueryContent>
      {inspectedMember && (
        <MemberPermissions member={inspectedMember} onClose={() => setInspectedMember(null)} />
      )}
      <ConfirmDialog
        open={memberToRemove !== null}
        title={`Remove ${memberToRemove?.name || memberToRemove?.email}?`}
        confirmLabel="Remove"
        danger
        onClose={() => setMemberToRemove(null)}
        onConfirm={() => {
          if (inspectedMember?.id === memberToRemove!.id) setInspectedMember(null);
          remove.mutate(memberToRemove!.id);
          setMemberToRemove(null);
        }}
      >
        Their access ends immediately, and their API keys stop working. Everything else they created is kept.
      </ConfirmDialog>
    </Section>
  );
}

/** The permissions of a member in a domain, with the reason for each. */
function MemberPermissions({ member, onClose }: { member: Member; onClose: () => void }) {
  const [domain, setDomain] = useState("");
  const domains = useQuery(domainsQuery);
  const access = useQuery({
    queryKey: queryKeys.members.access(member.id, domain),
    queryFn: () =>
      unwrap(
        api.GET("/api/v1/org/members/{id}/access", {
          params: { path: { id: member.id }, query: domain ? { domain } : {} },
        }),
      ),
  });
  return (
    <div className="mt-4 rounded-card border border-line p-4">
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <h3 className="mr-auto font-semibold">Permissions of {member.name || member.email}</h3>
        <select
          aria-label="Domain"
          className="control w-auto!"
          value={domain}
          onChange={({ target }) => setDomain(target.value)}
        >
          <option value="">Outside domains</option>
          {domains.data?.results.map(({ id, name }) => (
            <option key={id} value={id}>
              In {name}
            </option>
          ))}
        </select>
        <Button size="small" onClick={onClose}>
          Close
        </Button>
      </div>
      <QueryContent query={access}>
        {({ permissions }) => (
          <ul className="grid gap-x-6 gap-y-1 sm:grid-cols-2">
            {permissions.map(({ permission, allowed, because }) => (
              <li key={permission}>
                <span className={allowed ? "text-good" : "text-faint"}>{allowed ? "Yes" : "No"}</span>{" "}
                <code className="text-[0.8125rem]">{permission}</code>{" "}
                <span className="text-soft">{because}</span>
              </li>
            ))}
          </ul>
        )}
      </QueryContent>
    </div>
  );
}

function InvitationsSection() {
  const client = useQueryClient();
  const ownRole = useSession()?.organization?.role ?? "viewer";
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.invitations });
  const invitations = useQuery({
    queryKey: queryKeys.invitations,
    queryFn: () => unwrap(api.GET("/api/v1/org/invitations", LARGEST_PAGE)),
  });
  const invite = useMutation({
    mutationFn: (body: { email: string; role: Role }) =>
      unwrap(api.POST("/api/v1/org/invitations", { body })),
    onSuccess: async ({ email }) => {
      await invalidate();
      showSuccess(`The invitation to ${email} is being sent.`);
    },
  });
  const resend = useMutation({
    mutationFn: (id: string) =>
      unwrap(api.POST("/api/v1/org/invitations/{id}/resend", { params: { path: { id } } })),
    onSuccess: async ({ email }) => {
      await invalidate();
      showSuccess(`A new link is being sent to ${email}. The old link no longer works.`);
    },
    onError: (error) => showError(error),
  });
  const withdraw = useMutation({
    mutationFn: (id: string) =>
      unwrap(api.DELETE("/api/v1/org/invitations/{id}", { params: { path: { id } } })),
    onSettled: invalidate,
    onError: (error) => showError(error),
  });
  const messages = fieldMessages(invite.error);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const body = { email: String(data.get("email")).trim(), role: data.get("role") as Role };
    invite.mutate(body, { onSuccess: () => form.reset() });
  }

  return (
    <Section
      title="Invitations"
      description="Invitations are sent by e-mail. A link works once, only for the invited address, and expires after seven days."
    >
      {invite.error && Object.keys(messages).length === 0 && <ErrorNotice error={invite.error} />}
      <form onSubmit={submit} className="mb-4 flex flex-wrap gap-2">
        <div className="w-full max-w-sm">
          <TextField label="E-mail" name="email" type="email" required error={messages.email} />
        </div>
        <Field
          label="Role"
          error={messages.role}
          action={
            <Button type="submit" look="primary">
              {invite.isPending ? "Inviting…" : "Invite"}
            </Button>
          }
        >
          {() => <RoleSelect label="Role of the invited person" name="role" highestRole={ownRole} />}
        </Field>
      </form>
      <QueryContent query={invitations}>
        {({ results }) =>
          results.length === 0 ? (
            <EmptyState title="No open invitations">
              Invite the people you work with. Each gets a link by e-mail.
            </EmptyState>
          ) : (
            <ul className="grid gap-3">
              {results.map((row) => (
                <li key={row.id} className="flex flex-wrap items-center gap-3">
                  <div className="flex-1">
                    <p>
                      {row.email} <span className="text-faint">as {row.role}</span>
                    </p>
                    <p className="text-[0.8125rem] text-faint">
                      {row.sent_at ? (
                        <>
                          sent <RelativeTime time={row.sent_at} />
                        </>
                      ) : (
                        "being sent"
                      )}
                      , expires <RelativeTime time={row.expires_at} />
                    </p>
                  </div>
                  <Button size="small" onClick={() => resend.mutate(row.id)}>
                    Resend<span className="sr-only"> to {row.email}</span>
                  </Button>
                  <Button size="small" look="danger" onClick={() => withdraw.mutate(row.id)}>
                    Withdraw<span className="sr-only"> the invitation to {row.email}</span>
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </QueryContent>
    </Section>
  );
}
