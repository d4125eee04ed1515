import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { allPages } from "@/api/pages";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { Field, TextField } from "@/components/field";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { ErrorNotice } from "@/components/notice";
import { showError } from "@/components/toast";
import { isFound } from "@/format/parameter";
import { QueryContent, RoleSelect, Section } from "@/components/section";
import { parseKeyFilter } from "./key-filter";

export type OnKeyCreated = (newKey: { name: string; key: string }) => void;

export function ServiceAccountsSection({ onKeyCreated }: { onKeyCreated: OnKeyCreated }) {
  const client = useQueryClient();
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.serviceAccounts });
  const { account } = parseKeyFilter({ ...useSearch({ from: "/app/settings/api-keys" }) });
  const navigate = useNavigate({ from: "/settings/api-keys" });
  const search = (text: string | undefined, replace = false) =>
    void navigate({ search: (current) => ({ ...current, account: text }), replace });
  const [toRemove, setToRemove] = useState<{ id: string; name: string } | null>(null);
  const accounts = useQuery({
    queryKey: queryKeys.serviceAccounts,
    queryFn: () =>
      allPages((cursor) =>
        unwrap(
          api.GET("/api/v1/org/service-accounts", {
            params: { query: { limit: 200, ...(cursor && { cursor }) } },
          }),
        ),
      ),
  });
  const create = useMutation({
    mutationFn: (body: { name: string; role: "viewer" | "member" | "admin" }) =>
      unwrap(api.POST("/api/v1/org/service-accounts", { body })),
    onSettled: invalidate,
  });
  const addKey = useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) =>
      unwrap(
        api.POST("/api/v1/org/service-accounts/{id}/keys", {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
          body: { name },
        }),
      ),
    onSuccess: async (newKey) => {
      onKeyCreated(newKey);
      await client.invalidateQueries({ queryKey: queryKeys.apiKeys });
    },
    onError: (error) => showError(error),
  });
  const remove = useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/org/members/{id}", { params: { path: { id } } })),
    // The keys of a removed account are gone too.
    onSettled: () => Promise.all([invalidate(), client.invalidateQueries({ queryKey: queryKeys.apiKeys })]),
  });
  const messages = fieldMessages(create.error);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const role = data.get("role") as "viewer" | "member" | "admin";
    create.mutate({ name: String(data.get("name")).trim(), role }, { onSuccess: () => form.reset() });
  }

  return (
    <Section
      title="Service accounts"
      description="A service account belongs to no person, so its keys still work when the person who created them leaves."
    >
      {create.error && Object.keys(messages).length === 0 && <ErrorNotice error={create.error} />}
      <form onSubmit={submit} className="mb-4 flex flex-wrap gap-2">
        <TextField label="Name" name="name" required maxLength={120} error={messages.name} />
        <Field label="Role" error={messages.role} action={<Button type="submit">Add</Button>}>
          {() => <RoleSelect label="Role of the service account" name="role" highestRole="admin" />}
        </Field>
      </form>
      <FilterBar
        items="service accounts"
        filter={{ q: account }}
        onSearch={search}
        onClear={() => search(undefined)}
      />
      <QueryContent query={accounts}>
        {({ results }) =>
          results.length > 0 && !results.some(({ name }) => isFound(account, name)) ? (
            <NoMatch items="service accounts" onClear={() => search(undefined)} />
          ) : (
            <ul className="grid gap-3">
              {results.length === 0 && <li className="text-faint">No service accounts yet.</li>}
              {results
                .filter(({ name }) => isFound(account, name))
                .map(({ id, name, role }) => (
                  <li key={id} className="flex flex-wrap items-center gap-3">
                    <span className="min-w-0 flex-1 wrap-anywhere">
                      {name} <span className="text-faint">{role}</span>
                    </span>
                    <Button size="small" onClick={() => addKey.mutate({ id, name })}>
                      Create key<span className="sr-only"> for {name}</span>
                    </Button>
                    <Button size="small" look="danger" onClick={() => setToRemove({ id, name })}>
                      Remove<span className="sr-only"> {name}</span>
                    </Button>
                  </li>
                ))}
            </ul>
          )
        }
      </QueryContent>
      <DestroyDialog
        target={toRemove}
        nameOf={({ name }) => name}
        verb="Remove"
        destruction={{ ...remove, mutate: ({ id }, options) => remove.mutate(id, options) }}
        onClose={() => setToRemove(null)}
      >
        All its keys stop working at once. Everything that it created is kept.
      </DestroyDialog>
    </Section>
  );
}
