import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { Field, TextField } from "@/components/field";
import { EmptyState, ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { useHasPermission, useSession } from "@/session/use-session";
import { EmailDomains } from "./email-domains";
import { QueryContent, Section } from "./section";

/** Fetches the organization's identity provider. Returns null if there is none, because a query must not return undefined. */
async function fetchProvider() {
  return (await unwrap(api.GET("/api/v1/org/identity-provider"))) ?? null;
}

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
  const client = useQueryClient();
  const organization = useSession()?.organization;
  const canEdit = useHasPermission()("owners.manage");
  const form = useRef<HTMLFormElement>(null);
  const provider = useQuery({ queryKey: queryKeys.identityProvider, queryFn: fetchProvider });
  const save = useMutation({
    mutationFn: (body: {
      issuer: string;
      client_id: string;
      client_secret?: string;
      join_role: "viewer" | "member" | null;
      enabled: boolean;
    }) => unwrap(api.PUT("/api/v1/org/identity-provider", { body })),
    onSuccess: (saved) => {
      client.setQueryData(queryKeys.identityProvider, saved);
      showSuccess("Saved.");
    },
  });
  const check = useMutation({
    mutationFn: (issuer: string) =>
      unwrap(api.POST("/api/v1/org/identity-provider/check", { body: { issuer } })),
    onError: (error) => showError(error),
  });
  const remove = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/org/identity-provider")),
    onSuccess: () => client.setQueryData(queryKeys.identityProvider, null),
    onError: (error) => showError(error),
  });
  const messages = fieldMessages(save.error);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const role = text("join_role");
    save.mutate({
      issuer: text("issuer"),
      client_id: text("client_id"),
      ...(text("client_secret") ? { client_secret: text("client_secret") } : {}),
      join_role: role === "viewer" || role === "member" ? role : null,
      enabled: data.has("enabled"),
    });
  }

  return (
    <Section
      title="Single sign-on"
      description="Members log in through your own OpenID Connect issuer. They then have access to this organization only, and cannot change their account."
    >
      <QueryContent query={provider}>
        {(saved) => (
          <form
            ref={form}
            key={saved?.updated_at ?? "none"}
            onSubmit={submit}
            className="grid max-w-xl gap-4"
          >
            {save.error && Object.keys(messages).length === 0 && <ErrorNotice error={save.error} />}
            <TextField
              label="Issuer"
              name="issuer"
              type="url"
              required
              placeholder="https://login.example.com"
              defaultValue={saved?.issuer}
              readOnly={!canEdit}
              error={messages.issuer}
            />
            <TextField
              label="Client ID"
              name="client_id"
              required
              defaultValue={saved?.client_id}
              readOnly={!canEdit}
              error={messages.client_id}
            />
            <TextField
              label="Client secret"
              name="client_secret"
              type="password"
              autoComplete="off"
              placeholder={saved ? `Set, ends in ${saved.client_secret.last4 || "…"}` : undefined}
              readOnly={!canEdit}
              error={messages.client_secret}
            />
            <Field
              label="Uninvited users"
              hint="Before they join, users must open a link in an e-mail, unless their address is in a verified e-mail domain."
              error={messages.join_role}
            >
              {(control) => (
                <select
                  {...control}
                  name="join_role"
                  className="control w-auto!"
                  defaultValue={saved?.join_role ?? ""}
                  disabled={!canEdit}
                >
                  <option value="">Deny</option>
                  <option value="viewer">Join as viewer</option>
                  <option value="member">Join as member</option>
                </select>
              )}
            </Field>
            <label className="flex items-center gap-2.5">
              <input
                type="checkbox"
                name="enabled"
                defaultChecked={saved?.enabled ?? true}
                disabled={!canEdit}
              />
              Enabled
            </label>
            {canEdit && (
              <div className="flex flex-wrap gap-2">
                <Button type="submit" look="primary">
                  Save
                </Button>
                <Button
                  onClick={() => check.mutate(String(new FormData(form.current!).get("issuer")).trim())}
                >
                  {check.isPending ? "Testing…" : "Test issuer"}
                </Button>
                {saved && (
                  <Button look="danger" onClick={() => remove.mutate()}>
                    Remove
                  </Button>
                )}
              </div>
            )}
            {check.data && (
              <div role="status">
                <ul className="grid gap-1">
                  {check.data.steps.map(({ step, ok, message }) => (
                    <li key={step} className={ok ? "text-good" : "text-bad"}>
                      {ok ? "Passed" : "Failed"}: {message}
                    </li>
                  ))}
                </ul>
              </div>
            )}
            {saved && (
              <dl className="grid gap-2 text-[0.8125rem]">
                <div>
                  <dt className="text-faint">Redirect URI to register at the issuer</dt>
                  <dd className="font-mono break-all select-all">{saved.callback_url}</dd>
                </div>
                <div>
                  <dt className="text-faint">
                    Members log in at this address, or with the short name {organization?.slug}
                  </dt>
                  <dd className="font-mono break-all select-all">{saved.start_url}</dd>
                </div>
              </dl>
            )}
          </form>
        )}
      </QueryContent>
    </Section>
  );
}
