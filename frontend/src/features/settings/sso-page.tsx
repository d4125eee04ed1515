import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap, unwrapOptional, type Optional } from "@/api/client";
import { isChangedMeanwhile } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { OwnProvider, OwnProviderChange, ProviderCheck } from "@/api/types";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { Field, TextField } from "@/components/field";
import { EmptyState } from "@/components/notice";
import { SecretField, typedSecret } from "@/components/secret-field";
import { showError, showSuccess } from "@/components/toast";
import { VersionedForm } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { useHasPermission, useSession } from "@/session/use-session";
import { EmailDomains } from "./email-domains";
import { QueryContent, Section } from "@/components/section";

const providerQuery = {
  queryKey: queryKeys.identityProvider,
  queryFn: () => unwrapOptional(api.GET("/api/v1/org/identity-provider")),
};

export function SsoPage() {
  const hasPermission = useHasPermission();
  return (
    <>
      <IdentityProviderSection />
      {hasPermission("org.update") && <EmailDomains />}
      {hasPermission("members.manage") && <DirectorySection />}
    </>
  );
}

const GROUP_ROLES = ["viewer", "member", "admin"] as const;

/** Settings for provisioning by SCIM: the URL for the directory, and the role that each group grants. */
function DirectorySection() {
  const client = useQueryClient();
  const groups = useQuery({
    queryKey: queryKeys.scimGroups,
    queryFn: () => unwrap(api.GET("/api/v1/org/scim/groups")),
  });
  const setRole = useMutation({
    mutationFn: ({ id, role }: { id: string; role: (typeof GROUP_ROLES)[number] | null }) =>
      unwrap(api.PUT("/api/v1/org/scim/groups/{id}", { params: { path: { id } }, body: { role } })),
    onSuccess: () => showSuccess("Saved. The role now applies to everyone in the group."),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.scimGroups }),
    onError: (error) => showError(error),
  });
  return (
    <Section
      title="Directory (SCIM)"
      description="A directory, such as Okta or Entra ID, can add and remove people and put them in groups. People whom it adds are invited. People whom it deactivates lose access immediately. A directory cannot manage owners."
    >
      <dl className="mb-4 grid gap-2 text-[0.8125rem]">
        <div>
          <dt className="text-faint">SCIM base URL</dt>
          <dd className="font-mono break-all select-all">{`${globalThis.location.origin}/api/v1/scim/v2`}</dd>
        </div>
        <div>
          <dt className="text-faint">Token</dt>
          <dd>
            The key of a service account with the role admin and the scope <code>members.manage</code>. Create
            the account and its key under API keys.
          </dd>
        </div>
      </dl>
      <QueryContent query={groups}>
        {({ groups: rows }) =>
          rows.length === 0 ? (
            <EmptyState title="No groups yet">
              Groups appear here when your directory sends them. Then choose the role that each group grants.
            </EmptyState>
          ) : (
            <table className="table w-full border-collapse">
              <thead>
                <tr>
                  <th scope="col">Group</th>
                  <th scope="col">People</th>
                  <th scope="col">Role granted</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ id, display_name, people, role }) => (
                  <tr key={id}>
                    <td className="font-medium">{display_name}</td>
                    <td className="tabular-nums">{people}</td>
                    <td>
                      <select
                        aria-label={`Role of the group ${display_name}`}
                        className="control w-auto!"
                        value={role ?? ""}
                        onChange={({ target }) =>
                          setRole.mutate({
                            id,
                            role: GROUP_ROLES.find((option) => option === target.value) ?? null,
                          })
                        }
                      >
                        <option value="">No role</option>
                        {GROUP_ROLES.map((option) => (
                          <option key={option}>{option}</option>
                        ))}
                      </select>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </QueryContent>
    </Section>
  );
}

function IdentityProviderSection() {
  const provider = useQuery(providerQuery);
  const canEdit = useHasPermission()("owners.manage");
  return (
    <Section
      title="Single sign-on"
      description={`Members log in through your own OpenID Connect issuer. They then have access to this organization only, and cannot change their account.${canEdit ? "" : " Only owners can change this."}`}
    >
      <QueryContent query={provider}>{(current) => <IdentityProviderForm current={current} />}</QueryContent>
    </Section>
  );
}

const PROVIDER_LABELS = {
  issuer: "Issuer",
  client_id: "Client ID",
  client_secret: "Client secret",
  join_role: "Uninvited users",
  enabled: "Enabled",
};

const JOIN_ROLES: Record<string, string> = {
  "": "Deny",
  viewer: "Join as viewer",
  member: "Join as member",
};

/** The values of the form. Without a provider they are those of a new one. */
function providerValues(saved: OwnProvider | null): Values {
  return {
    issuer: saved?.issuer ?? "",
    client_id: saved?.client_id ?? "",
    client_secret: saved?.client_secret ?? { set: false },
    join_role: saved?.join_role ?? "",
    enabled: saved?.enabled ?? true,
  };
}

function providerChange(values: Values): OwnProviderChange {
  const secret = typedSecret(values.client_secret);
  return {
    issuer: String(values.issuer).trim(),
    client_id: String(values.client_id).trim(),
    ...(secret && { client_secret: secret }),
    join_role: (values.join_role || null) as OwnProviderChange["join_role"],
    enabled: Boolean(values.enabled),
  };
}

function IdentityProviderForm({ current: { value: saved, etag } }: { current: Optional<OwnProvider> }) {
  const client = useQueryClient();
  const canEdit = useHasPermission()("owners.manage");
  const params = { header: { "If-Match": etag } };
  /** After a 412 the page gets what somebody else has saved. */
  const refetch = async (error: unknown) => {
    if (isChangedMeanwhile(error)) await client.invalidateQueries({ queryKey: queryKeys.identityProvider });
  };
  const save = useMutation({
    mutationFn: (body: OwnProviderChange) =>
      unwrapOptional(api.PUT("/api/v1/org/identity-provider", { params, body })),
    onSuccess: (answer) => {
      client.setQueryData(queryKeys.identityProvider, answer);
      showSuccess("Saved.");
    },
    onError: refetch,
  });
  const check = useMutation({
    mutationFn: (issuer: string) =>
      unwrap(api.POST("/api/v1/org/identity-provider/check", { body: { issuer } })),
    onError: (error) => showError(error),
  });
  const remove = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/org/identity-provider", { params })),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.identityProvider }),
    onError: refetch,
  });
  const [isRemoving, setIsRemoving] = useState(false);

  return (
    <>
      <VersionedForm
        saved={providerValues(saved)}
        labels={PROVIDER_LABELS}
        secrets={["client_secret"]}
        textOf={(field, value) => (field === "join_role" ? JOIN_ROLES[String(value)] : undefined)}
        save={save}
        canEdit={canEdit}
        onSave={(values, _changed, done) => save.mutate(providerChange(values), { onSuccess: done })}
        actions={({ values }) => (
          <>
            <Button onClick={() => check.mutate(String(values.issuer).trim())}>
              {check.isPending ? "Testing…" : "Test issuer"}
            </Button>
            {saved && (
              <Button look="danger" onClick={() => setIsRemoving(true)}>
                Remove
              </Button>
            )}
          </>
        )}
        below={
          <>
            {check.data && <CheckSteps steps={check.data.steps} />}
            {saved && <Addresses provider={saved} />}
          </>
        }
      >
        {({ values, base, change, messages }) => (
          <>
            <TextField
              label={PROVIDER_LABELS.issuer}
              type="url"
              required
              placeholder={canEdit ? "https://login.example.com" : undefined}
              value={String(values.issuer)}
              onChange={({ target }) => change({ issuer: target.value })}
              readOnly={!canEdit}
              error={messages.issuer}
            />
            <TextField
              label={PROVIDER_LABELS.client_id}
              required
              value={String(values.client_id)}
              onChange={({ target }) => change({ client_id: target.value })}
              readOnly={!canEdit}
              error={messages.client_id}
            />
            <SecretField
              label={PROVIDER_LABELS.client_secret}
              value={values.client_secret}
              stored={base.client_secret}
              onChange={(client_secret) => change({ client_secret })}
              placeholder={saved ? `Set, ends in ${saved.client_secret.last4 || "…"}` : undefined}
              readOnly={!canEdit}
              error={messages.client_secret}
            />
            <Field
              label={PROVIDER_LABELS.join_role}
              hint="Before they join, users must open a link in an e-mail, unless their address is in a verified e-mail domain."
              error={messages.join_role}
            >
              {(control) => (
                <select
                  {...control}
                  className="control w-auto!"
                  value={String(values.join_role)}
                  onChange={({ target }) => change({ join_role: target.value })}
                  disabled={!canEdit}
                >
                  {Object.entries(JOIN_ROLES).map(([role, words]) => (
                    <option key={role} value={role}>
                      {words}
                    </option>
                  ))}
                </select>
              )}
            </Field>
            <label className="flex items-center gap-2.5">
              <input
                type="checkbox"
                checked={Boolean(values.enabled)}
                onChange={({ target }) => change({ enabled: target.checked })}
                disabled={!canEdit}
              />
              {PROVIDER_LABELS.enabled}
            </label>
          </>
        )}
      </VersionedForm>
      <DestroyDialog
        target={isRemoving ? (saved?.issuer ?? null) : null}
        nameOf={(issuer) => issuer}
        title="Remove the identity provider?"
        verb="Remove"
        destruction={{ ...remove, mutate: (_issuer, options) => remove.mutate(undefined, options) }}
        onClose={() => setIsRemoving(false)}
      >
        Members can no longer log in through it. Those without a password need a link to set one.
      </DestroyDialog>
    </>
  );
}

function CheckSteps({ steps }: { steps: ProviderCheck["steps"] }) {
  return (
    <div role="status">
      <ul className="grid gap-1">
        {steps.map(({ step, ok, message }) => (
          <li key={step} className={ok ? "text-good" : "text-bad"}>
            {ok ? "Passed" : "Failed"}: {message}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Addresses({ provider: { callback_url, start_url } }: { provider: OwnProvider }) {
  const organization = useSession()?.organization;
  return (
    <dl className="grid gap-2 text-[0.8125rem]">
      <div>
        <dt className="text-faint">Redirect URI to register at the issuer</dt>
        <dd className="font-mono break-all select-all">{callback_url}</dd>
      </div>
      <div>
        <dt className="text-faint">
          Members log in at this address, or with the short name {organization?.slug}
        </dt>
        <dd className="font-mono break-all select-all">{start_url}</dd>
      </div>
    </dl>
  );
}
