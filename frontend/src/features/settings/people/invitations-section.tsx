import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { Invitation } from "@/api/types";
import { Button } from "@/components/button";
import { useNow } from "@/components/clock";
import { DestroyDialog } from "@/components/destroy-dialog";
import { Field, TextField } from "@/components/field";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { EmptyState, ErrorNotice } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { showError, showSuccess } from "@/components/toast";
import { formatCount } from "@/format/number";
import { isFound } from "@/format/parameter";
import { useHasPermission, useSession } from "@/session/use-session";
import { organizationQuery } from "@/api/organization";
import { QueryContent, RoleSelect, Section, type Role } from "@/components/section";
import { invitationsQuery, membersQuery } from "@/api/members";
import { parseMemberFilter } from "./member-filter";

export function InvitationsSection() {
  const client = useQueryClient();
  const ownRole = useSession()?.organization?.role ?? "viewer";
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.invitations });
  const invitations = useQuery(invitationsQuery);
  const { invited } = parseMemberFilter({ ...useSearch({ from: "/app/settings/members" }) });
  const navigate = useNavigate({ from: "/settings/members" });
  const search = (text: string | undefined, replace = false) =>
    void navigate({ search: (current) => ({ ...current, invited: text }), replace });
  const limit = usePeopleLimit();
  const [toWithdraw, setToWithdraw] = useState<Invitation | null>(null);
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
  });
  const messages = fieldMessages(invite.error);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (limit?.isReached || invite.isPending) return;
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
      {limit && <PeopleLimit {...limit} />}
      {invite.error && Object.keys(messages).length === 0 && <ErrorNotice error={invite.error} />}
      <form onSubmit={submit} className="mb-4 flex flex-wrap gap-2">
        <div className="w-full max-w-sm">
          <TextField label="E-mail" name="email" type="email" required error={messages.email} />
        </div>
        <Field
          label="Role"
          error={messages.role}
          action={
            <Button
              type="submit"
              look="primary"
              disabledReason={limit?.isReached ? "The limit of people is reached" : null}
            >
              {invite.isPending ? "Inviting…" : "Invite"}
            </Button>
          }
        >
          {() => <RoleSelect label="Role of the invited person" name="role" highestRole={ownRole} />}
        </Field>
      </form>
      <FilterBar
        items="invitations"
        filter={{ q: invited }}
        onSearch={search}
        onClear={() => search(undefined)}
      />
      <QueryContent query={invitations}>
        {({ results }) =>
          results.length > 0 && !results.some(({ email }) => isFound(invited, email)) ? (
            <NoMatch items="invitations" onClear={() => search(undefined)} />
          ) : results.length === 0 ? (
            <EmptyState title="No open invitations">
              Invite the people you work with. Each gets a link by e-mail.
            </EmptyState>
          ) : (
            <ul className="grid gap-3">
              {results
                .filter(({ email }) => isFound(invited, email))
                .map((row) => (
                  <li key={row.id} className="flex flex-wrap items-center gap-3">
                    <div className="min-w-0 flex-1 wrap-anywhere max-sm:basis-full">
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
                    {(ownRole === "owner" || row.role !== "owner") && (
                      <Button size="small" onClick={() => resend.mutate(row.id)}>
                        Resend<span className="sr-only"> to {row.email}</span>
                      </Button>
                    )}
                    <Button size="small" look="danger" onClick={() => setToWithdraw(row)}>
                      Withdraw<span className="sr-only"> the invitation to {row.email}</span>
                    </Button>
                  </li>
                ))}
            </ul>
          )
        }
      </QueryContent>
      <DestroyDialog
        target={toWithdraw}
        nameOf={({ email }) => email}
        title={`Withdraw the invitation to ${toWithdraw?.email}?`}
        verb="Withdraw"
        destruction={{ ...withdraw, mutate: ({ id }, options) => withdraw.mutate(id, options) }}
        onClose={() => setToWithdraw(null)}
      >
        The link in the e-mail stops working at once. You can invite the person again.
      </DestroyDialog>
    </Section>
  );
}

interface PeopleCount {
  people: number;
  limit: number;
  isReached: boolean;
}

/** How many people the organization may have. Open invitations count, service accounts do not. Null without a limit. */
function usePeopleLimit(): PeopleCount | null {
  const { data: organization } = useQuery(organizationQuery);
  const { data: members } = useQuery(membersQuery);
  const { data: invitations } = useQuery(invitationsQuery);
  const now = useNow();
  const limit = organization?.max_members ?? null;
  if (limit === null || !members || !invitations) return null;
  const open = invitations.results.filter(({ expires_at }) => Date.parse(expires_at) > now);
  const people = members.results.filter(({ kind }) => kind === "person").length + open.length;
  return { people, limit, isReached: people >= limit };
}

function PeopleLimit({ people, limit, isReached }: PeopleCount) {
  const mayRaise = useHasPermission()("settings.edit");
  return (
    <p className={isReached ? "mb-4 text-wait" : "mb-4 text-soft"}>
      {formatCount(people)} of {formatCount(limit)} people, open invitations included.{" "}
      {isReached
        ? "Nobody else can be invited. Remove a member, withdraw an invitation, or raise the limit"
        : "At the limit nobody else can be invited. It is set"}{" "}
      {mayRaise ? (
        <>
          on the page{" "}
          <Link to="/settings/organization" className="underline">
            Organization
          </Link>
          .
        </>
      ) : (
        "by an admin."
      )}
    </p>
  );
}
