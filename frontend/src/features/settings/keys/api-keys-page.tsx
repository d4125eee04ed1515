import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { saveFile } from "@/api/download";
import { allPages } from "@/api/pages";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { ApiKey } from "@/api/types";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { ConfirmDialog } from "@/components/dialog";
import { Field, TextField } from "@/components/field";
import { FilterBar, FilterSelect, NoMatch } from "@/components/filter-bar";
import { EmptyState, ErrorNotice } from "@/components/notice";
import { OneTimeSecret } from "@/components/one-time-secret";
import { RelativeTime } from "@/components/relative-time";
import { showError } from "@/components/toast";
import { useHasPermission, useSession } from "@/session/use-session";
import { QueryContent, RoleSelect, Section, type Role } from "@/components/section";
import { keysAsCsv, keysMatching, parseKeyFilter, type KeyFilter } from "./key-filter";
import { KeysTable } from "./keys-table";
import { ServiceAccountsSection, type OnKeyCreated } from "./service-accounts-section";

function keysQuery(revoked: boolean) {
  return {
    queryKey: [...queryKeys.apiKeys, { revoked }],
    queryFn: () =>
      allPages((cursor) =>
        unwrap(
          api.GET("/api/v1/org/api-keys", {
            params: { query: { limit: 200, revoked, ...(cursor && { cursor }) } },
          }),
        ),
      ),
  };
}

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

function KeysSection({ onKeyCreated }: { onKeyCreated: OnKeyCreated }) {
  const client = useQueryClient();
  const role = useSession()?.organization?.role ?? "viewer";
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.apiKeys });
  const navigate = useNavigate({ from: "/settings/api-keys" });
  const filter = parseKeyFilter({ ...useSearch({ from: "/app/settings/api-keys" }) });
  const keys = useQuery(keysQuery(filter.revoked ?? false));
  const shown = keysMatching(keys.data?.results ?? [], filter.q);
  const [asked, setAsked] = useState<{ action: "rotate" | "revoke"; key: ApiKey } | null>(null);
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
  });
  const messages = fieldMessages(create.error);
  const clear = () =>
    void navigate({ search: (current) => ({ ...current, q: undefined, revoked: undefined }) });

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
      action={
        <Button
          disabledReason={shown.length === 0 ? "No keys to download" : null}
          onClick={() => saveFile(new Blob([keysAsCsv(shown)], { type: "text/csv" }), "api-keys.csv")}
        >
          Download CSV
        </Button>
      }
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
      <Filters filter={filter} onClear={clear} />
      <QueryContent query={keys}>
        {({ results }) =>
          results.length === 0 && !filter.revoked ? (
            <EmptyState title="No API keys yet">
              Create a key to call the API from a script, a scheduler or CI.
            </EmptyState>
          ) : shown.length === 0 ? (
            <NoMatch items="API keys" onClear={clear} />
          ) : (
            <KeysTable keys={shown} onAsk={(action, key) => setAsked({ action, key })} />
          )
        }
      </QueryContent>
      <ConfirmDialog
        open={asked?.action === "rotate"}
        title={`Rotate ${asked?.key.name}?`}
        confirmLabel="Rotate"
        onClose={() => setAsked(null)}
        onConfirm={() => {
          rotate.mutate(asked!.key.id);
          setAsked(null);
        }}
      >
        A new key with the same permissions is shown once. The old one keeps working for one hour; then
        requests with it are refused.
      </ConfirmDialog>
      <DestroyDialog
        target={asked?.action === "revoke" ? asked.key : null}
        nameOf={({ name }) => name}
        verb="Revoke"
        destruction={{ ...revoke, mutate: ({ id }, options) => revoke.mutate(id, options) }}
        onClose={() => setAsked(null)}
      >
        Requests with this key are refused at once. It cannot be restored.{" "}
        <LastUse keyRow={asked?.key ?? null} />
      </DestroyDialog>
    </Section>
  );
}

function LastUse({ keyRow }: { keyRow: ApiKey | null }) {
  if (!keyRow?.last_used_at) return "It has never been used.";
  return (
    <>
      It was last used <RelativeTime time={keyRow.last_used_at} />.
    </>
  );
}

function Filters({ filter, onClear }: { filter: KeyFilter; onClear: () => void }) {
  const navigate = useNavigate({ from: "/settings/api-keys" });
  const ownFilter = { q: filter.q, revoked: filter.revoked };
  const change = (next: KeyFilter, replace = false) =>
    void navigate({ search: (current) => ({ ...current, ...next }), replace });
  return (
    <FilterBar
      items="API keys"
      filter={ownFilter}
      onSearch={(q, replace) => change({ q }, replace)}
      onClear={onClear}
    >
      <FilterSelect
        label="State"
        any="Not revoked"
        value={filter.revoked && "revoked"}
        words={{ revoked: "Revoked" }}
        onChange={(state) => change({ revoked: state && true })}
      />
    </FilterBar>
  );
}
