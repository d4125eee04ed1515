import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { Field, TextField } from "@/components/field";
import { EmptyState, ErrorNotice } from "@/components/notice";
import { OneTimeSecret } from "@/components/one-time-secret";
import { showError } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { useHasPermission, useSession } from "@/session/use-session";
import { QueryContent, RoleSelect, Section, type Role } from "./section";

const LARGEST_PAGE = { params: { query: { limit: 200 } } } as const;

export function ApiKeysPage() {
  const canManage = useHasPermission()("api_keys.manage");
  const [newKey, setNewKey] = useState<{ name: string; key: string } | null>(null);
  return (
    <>
      {newKey && <OneTimeSecret label={`Key ${newKey.name} (shown only once)`}>{newKey.key}</OneTimeSecret>}
      <KeysSection onKeyCreated={setNewKey} />
      {canManage && <ServiceAccountsSection onKeyCreated={setNewKey} />}
    </>
  );
}

type OnKeyCreated = (newKey: { name: string; key: string }) => void;

function KeysSection({ onKeyCreated }: { onKeyCreated: OnKeyCreated }) {
  const client = useQueryClient();
  const role = useSession()?.organization?.role ?? "viewer";
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.apiKeys });
  const keys = useQuery({
    queryKey: queryKeys.apiKeys,
    queryFn: () =>
      unwrap(api.GET("/api/v1/org/api-keys", { params: { query: { limit: 200, revoked: false } } })),
  });
  const create = useMutation({
    mutationFn: (body: { name: string; role: Role; expires_at: string | null }) =>
      unwrap(
        api.POST("/api/v1/org/api-keys", {
          body,
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
        }),
      ),
    onSuccess: async (newKey) => {
      onKeyCreated(newKey);
      await invalidate();
    },
  });
  const rotate = useMutation({
    mutationFn: (id: string) =>
      unwrap(
        api.POST("/api/v1/org/api-keys/{id}/rotate", {
          params: { path: { id }, header: { "Idempotency-Key": newIdempotencyKey() } },
          body: { grace_seconds: 3600 },
        }),
      ),
    onSuccess: async (newKey) => {
      onKeyCreated(newKey);
      await invalidate();
    },
    onError: (error) => showError(error),
  });
  const revoke = useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/org/api-keys/{id}", { params: { path: { id } } })),
    onSettled: invalidate,
    onError: (error) => showError(error),
  });
  const messages = fieldMessages(create.error);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const expiryDate = String(data.get("expires"));
    create.mutate(
      {
        name: String(data.get("name")).trim(),
        role: data.get("role") as Role,
        expires_at: expiryDate ? new Date(`${expiryDate}T23:59:59`).toISOString() : null,
      },
      { onSuccess: () => form.reset() },
    );
  }

  return (
    <Section
      title="API keys"
      description="For programs that act on your behalf. A key never has more permissions than you, and stops working when you leave the organization."
    >
      {create.error && Object.keys(messages).length === 0 && <ErrorNotice error={create.error} />}
      <form onSubmit={submit} className="mb-4 flex flex-wrap gap-2">
        <TextField label="Name" name="name" required maxLength={120} error={messages.name} />
        <Field label="Role" error={messages.role}>
          {() => <RoleSelect label="Role of the key" name="role" highestRole={role} />}
        </Field>
        <TextField
          label="Expires on"
          name="expires"
          type="date"
          optional
          error={messages.expires_at}
          action={
            <Button type="submit" look="primary">
              {create.isPending ? "Creating…" : "Create key"}
            </Button>
          }
        />
      </form>
      <QueryContent query={keys}>
        {({ results }) =>
          results.length === 0 ? (
            <EmptyState title="No API keys yet">
              Create a key to call the API from a script, a scheduler or CI.
            </EmptyState>
          ) : (
            <ul className="grid gap-3">
              {results.map((key) => (
                <li key={key.id} className="flex flex-wrap items-center gap-3">
                  <div className="flex-1">
                    <p>
                      {key.name} <code className="text-[0.8125rem] text-faint">drv_{key.prefix}_…</code>
                    </p>
                    <p className="text-[0.8125rem] text-faint">
                      {key.role}, last used <RelativeTime time={key.last_used_at} fallback="never" />
                      {key.expires_at && (
                        <>
                          , expires <RelativeTime time={key.expires_at} />
                        </>
                      )}
                      {!key.created_by.email.endsWith("@service.invalid") &&
                        `, created by ${key.created_by.email}`}
                    </p>
                  </div>
                  <Button size="small" onClick={() => rotate.mutate(key.id)}>
                    Rotate<span className="sr-only"> {key.name}; the old key works for another hour</span>
                  </Button>
                  <Button size="small" look="danger" onClick={() => revoke.mutate(key.id)}>
                    Revoke<span className="sr-only"> {key.name}</span>
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

function ServiceAccountsSection({ onKeyCreated }: { onKeyCreated: OnKeyCreated }) {
  const client = useQueryClient();
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.serviceAccounts });
  const accounts = useQuery({
    queryKey: queryKeys.serviceAccounts,
    queryFn: () => unwrap(api.GET("/api/v1/org/service-accounts", LARGEST_PAGE)),
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
    onSettled: invalidate,
    onError: (error) => showError(error),
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
      <form onSubmit={submit} className="mb-4 flex flex-wrap gap-2">
        <TextField label="Name" name="name" required maxLength={120} error={messages.name} />
        <Field label="Role" error={messages.role} action={<Button type="submit">Add</Button>}>
          {() => <RoleSelect label="Role of the service account" name="role" highestRole="admin" />}
        </Field>
      </form>
      <QueryContent query={accounts}>
        {({ results }) => (
          <ul className="grid gap-3">
            {results.length === 0 && <li className="text-faint">No service accounts yet.</li>}
            {results.map(({ id, name, role }) => (
              <li key={id} className="flex flex-wrap items-center gap-3">
                <span className="flex-1">
                  {name} <span className="text-faint">{role}</span>
                </span>
                <Button size="small" onClick={() => addKey.mutate({ id, name })}>
                  Create key<span className="sr-only"> for {name}</span>
                </Button>
                <Button size="small" look="danger" onClick={() => remove.mutate(id)}>
                  Remove<span className="sr-only"> {name}</span>
                </Button>
              </li>
            ))}
          </ul>
        )}
      </QueryContent>
    </Section>
  );
}
