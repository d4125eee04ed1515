import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, unwrap, unwrapVersioned } from "@/api/client";
import { forgetDeleted } from "@/api/deletion";
import { domainsQuery } from "@/api/domains";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { TextField } from "@/components/field";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { EmptyState } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { VersionedForm } from "@/components/versioned-form";
import { Name } from "@/components/name";
import { isFound, parseTextFilter } from "@/format/parameter";
import { useHasPermission } from "@/session/use-session";
import { membersQuery } from "@/api/members";
import { QueryContent, Section } from "@/components/section";

function domainQuery(id: string) {
  return {
    queryKey: queryKeys.domains.one(id),
    queryFn: () => unwrapVersioned(api.GET("/api/v1/org/domains/{id}", { params: { path: { id } } })),
  };
}

interface DomainRole {
  member: string;
  role: "member" | "admin";
}

/** What a dialog asks about: the domain with the version that the dialog names. */
interface DomainToRemove {
  id: string;
  name: string;
  etag: string;
}

export function DomainsPage() {
  const client = useQueryClient();
  const canManage = useHasPermission()("domains.manage");
  const [openDomain, setOpenDomain] = useState<string | null>(null);
  const [renamedDomain, setRenamedDomain] = useState<string | null>(null);
  const [domainToRemove, setDomainToRemove] = useState<DomainToRemove | null>(null);
  const invalidate = () => client.invalidateQueries({ queryKey: domainsQuery.queryKey });
  const domains = useQuery(domainsQuery);
  const filter = parseTextFilter({ ...useSearch({ from: "/app/settings/domains" }) });
  const navigate = useNavigate({ from: "/settings/domains" });
  const create = useMutation({
    mutationFn: (name: string) => unwrap(api.POST("/api/v1/org/domains", { body: { name } })),
    onSettled: invalidate,
  });
  const remove = useMutation({
    mutationFn: ({ id, etag }: DomainToRemove) =>
      unwrap(
        api.DELETE("/api/v1/org/domains/{id}", { params: { path: { id }, header: { "If-Match": etag } } }),
      ),
    onSuccess: (_nothing, { id }) => {
      if (openDomain === id) setOpenDomain(null);
      return forgetDeleted(client, { deleted: queryKeys.domains.one(id), refreshed: queryKeys.domains.all });
    },
    onError: invalidate,
  });

  function askToRemove(id: string) {
    const domain = client.fetchQuery({ ...domainQuery(id), staleTime: 0 });
    domain.then(setDomainToRemove).catch((error: unknown) => {
      showError(error);
      void invalidate();
    });
  }
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    create.mutate(String(new FormData(form).get("name")).trim(), { onSuccess: () => form.reset() });
  }

  return (
    <Section
      title="Domains"
      description="Domains group pipelines and connectors. A member can have a higher role in a domain than in the organization."
    >
      {canManage && (
        <form onSubmit={submit} className="mb-4 max-w-md">
          <TextField
            label="New domain"
            name="name"
            required
            maxLength={80}
            error={nameTakenMessage(create.error) ?? fieldMessages(create.error).name}
            action={<Button type="submit">Add</Button>}
          />
        </form>
      )}
      <FilterBar
        items="domains"
        filter={filter}
        onSearch={(q, replace) => void navigate({ search: { q }, replace })}
        onClear={() => void navigate({ search: {} })}
      />
      <QueryContent query={domains}>
        {({ results }) =>
          results.length > 0 && !results.some(({ name }) => isFound(filter.q, name)) ? (
            <NoMatch items="domains" onClear={() => void navigate({ search: {} })} />
          ) : results.length === 0 ? (
            <EmptyState title="No domains yet">
              With domains, a team can manage its own pipelines without being an admin of the whole
              organization.
            </EmptyState>
          ) : (
            <ul className="grid gap-3">
              {results
                .filter(({ name }) => isFound(filter.q, name))
                .map(({ id, name }) => (
                  <li key={id}>
                    <div className="flex flex-wrap items-center gap-2">
                      <Name className="min-w-0 flex-1 basis-48 font-medium">{name}</Name>
                      <Button
                        size="small"
                        aria-expanded={openDomain === id}
                        onClick={() => setOpenDomain(openDomain === id ? null : id)}
                      >
                        Domain roles<span className="sr-only"> in {name}</span>
                      </Button>
                      {canManage && (
                        <>
                          <Button
                            size="small"
                            aria-expanded={renamedDomain === id}
                            onClick={() => setRenamedDomain(renamedDomain === id ? null : id)}
                          >
                            Rename<span className="sr-only"> {name}</span>
                          </Button>
                          <Button size="small" look="danger" onClick={() => askToRemove(id)}>
                            Delete<span className="sr-only"> {name}</span>
                          </Button>
                        </>
                      )}
                    </div>
                    {renamedDomain === id && <RenameForm domain={id} onDone={() => setRenamedDomain(null)} />}
                    {openDomain === id && <DomainRoles domain={id} canManage={canManage} />}
                  </li>
                ))}
            </ul>
          )
        }
      </QueryContent>
      <DestroyDialog
        target={domainToRemove}
        nameOf={({ name }) => name}
        verb="Delete"
        destruction={remove}
        onClose={() => setDomainToRemove(null)}
      >
        Its pipelines and connectors are kept, without a domain. API keys limited to the domain stop working.
      </DestroyDialog>
    </Section>
  );
}

/** Renames the domain if it still has the name that the form shows. */
function RenameForm({ domain, onDone }: { domain: string; onDone: () => void }) {
  const client = useQueryClient();
  const opened = useQuery({ ...domainQuery(domain), staleTime: 0 });
  const save = useMutation({
    mutationFn: ({ name, etag }: { name: string; etag: string }) =>
      unwrap(
        api.PATCH("/api/v1/org/domains/{id}", {
          params: { path: { id: domain }, header: { "If-Match": etag } },
          body: { name },
        }),
      ),
    onSuccess: ({ name }) => showSuccess(`The domain is named ${name} now.`),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.domains.all }),
  });
  return (
    <div className="mt-2 ml-3 border-l-2 border-line pl-4">
      <QueryContent query={opened}>
        {(data) => (
          <VersionedForm
            className="max-w-md"
            title={`Rename ${data.name}`}
            saved={{ name: data.name }}
            labels={{ name: "Name" }}
            save={save}
            onSave={({ name }) =>
              save.mutate({ name: String(name).trim(), etag: data.etag }, { onSuccess: onDone })
            }
          >
            {({ values, change, messages }) => (
              <TextField
                label="Name"
                value={String(values.name)}
                onChange={({ target }) => change({ name: target.value })}
                maxLength={80}
                required
                error={messages.name}
              />
            )}
          </VersionedForm>
        )}
      </QueryContent>
    </div>
  );
}

function DomainRoles({ domain, canManage }: { domain: string; canManage: boolean }) {
  const client = useQueryClient();
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.domains.one(domain) });
  const opened = useQuery(domainQuery(domain));
  const members = useQuery(membersQuery);
  const requestOptions = (member_id: string) => ({ params: { path: { id: domain, member_id } } });
  const setRole = useMutation({
    mutationFn: ({ member, role }: DomainRole) =>
      unwrap(
        api.PUT("/api/v1/org/domains/{id}/members/{member_id}", {
          ...requestOptions(member),
          body: { role },
        }),
      ),
    onSettled: invalidate,
    onError: (error) => showError(error),
  });
  const removeRole = useMutation({
    mutationFn: ({ member }: DomainRole) =>
      unwrap(api.DELETE("/api/v1/org/domains/{id}/members/{member_id}", requestOptions(member))),
    onSuccess: (_nothing, role) =>
      showSuccess(
        "The domain role was removed.",
        <button type="button" className="link" onClick={() => setRole.mutate(role)}>
          Undo
        </button>,
      ),
    onSettled: invalidate,
    onError: (error) => showError(error),
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setRole.mutate({
      member: String(form.get("member")),
      role: form.get("role") === "admin" ? "admin" : "member",
    });
  }

  const membersWithLowRole =
    members.data?.results.filter(({ role }) => role === "viewer" || role === "member") ?? [];
  return (
    <div className="mt-2 ml-3 border-l-2 border-line pl-4">
      <QueryContent query={opened}>
        {(data) => (
          <ul className="grid gap-2">
            {data.members.length === 0 && <li className="text-faint">No domain roles yet.</li>}
            {data.members.map(({ member_id, email, role }) => (
              <li key={member_id} className="flex items-center gap-2">
                <span className="flex-1">
                  {email} <span className="text-faint">{role}</span>
                </span>
                {canManage && (
                  <Button
                    size="small"
                    onClick={() =>
                      removeRole.mutate({ member: member_id, role: role === "admin" ? "admin" : "member" })
                    }
                  >
                    Remove<span className="sr-only"> from {email}</span>
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </QueryContent>
      {canManage && membersWithLowRole.length > 0 && (
        <form onSubmit={submit} className="mt-3 flex flex-wrap gap-2">
          <select aria-label="Member" name="member" className="control w-auto! max-w-64">
            {membersWithLowRole.map(({ id, name, email }) => (
              <option key={id} value={id}>
                {name || email}
              </option>
            ))}
          </select>
          <select aria-label="Domain role" name="role" className="control w-auto!">
            <option>member</option>
            <option>admin</option>
          </select>
          <Button type="submit">Grant role</Button>
        </form>
      )}
    </div>
  );
}
