import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap, unwrapVersioned, type Versioned } from "@/api/client";
import { downloadFile } from "@/api/download";
import { fieldMessages, isChangedMeanwhile } from "@/api/problem";
import { refreshSession, rememberOrganization } from "@/api/session";
import type { Member, Organization } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Field, TextField } from "@/components/field";
import { showError, showSuccess } from "@/components/toast";
import { VersionedForm } from "@/components/versioned-form";
import { useEnterOrganization } from "@/session/use-enter-organization";
import { useHasPermission, useSession } from "@/session/use-session";
import type { Values } from "@/format/merge";
import { absoluteTime } from "@/format/time";
import { queryClient } from "@/query-client";
import { membersQuery } from "@/api/members";
import { organizationQuery } from "@/api/organization";
import { useSaveOrganization } from "./organization";
import { LimitsSection, RetentionSection } from "./organization-numbers";
import { QueryContent, Section } from "@/components/section";

export function OrganizationPage() {
  const organization = useQuery(organizationQuery);
  const hasPermission = useHasPermission();
  return (
    <QueryContent query={organization}>
      {(org) => (
        <>
          <GeneralSection org={org} />
          <AccessRulesSection org={org} />
          <LimitsSection org={org} />
          <RetentionSection org={org} />
          {hasPermission("org.transfer") && !org.deletion_at && <TransferSection org={org} />}
          <LeaveOrDeleteSection org={org} />
          <CreateOrganizationSection />
        </>
      )}
    </QueryContent>
  );
}

function GeneralSection({ org }: { org: Versioned<Organization> }) {
  const save = useSaveOrganization(org);
  const canEdit = useHasPermission()("org.update");
  return (
    <Section title="Organization" description={<>Short name for single sign-on: {org.slug}</>}>
      <VersionedForm
        className="max-w-md"
        saved={{ name: org.name }}
        labels={{ name: "Name" }}
        save={save}
        canEdit={canEdit}
        onSave={({ name }, _changed, done) => save.mutate({ name: String(name).trim() }, { onSuccess: done })}
      >
        {({ values, change, messages }) => (
          <TextField
            label="Name"
            value={String(values.name)}
            onChange={({ target }) => change({ name: target.value })}
            maxLength={120}
            required
            readOnly={!canEdit}
            error={messages.name}
          />
        )}
      </VersionedForm>
    </Section>
  );
}

const splitEntries = (text: unknown) =>
  String(text ?? "")
    .split(/[\s,]+/)
    .filter(Boolean);

/** Returns the error message of a list or of one of its items. */
function listMessage(messages: Record<string, string>, name: string): string | undefined {
  const entry = Object.entries(messages).find(([field]) => field === name || field.startsWith(`${name}.`));
  return entry?.[1];
}

const RULES = {
  require_second_factor: "Require two-factor authentication",
  require_sso: "Require single sign-on (owners can still log in with their own password or passkey)",
  email_domains: "E-mail domains",
  networks: "Networks",
};

const CHECKED_RULES = ["require_second_factor", "require_sso"] as const;
const LISTED_RULES = [
  [
    "email_domains",
    "Only addresses in these domains can be invited. One per line. Leave blank to allow any address.",
  ],
  [
    "networks",
    "Only these IP addresses or CIDR blocks have access. One per line, including your own. Leave blank to allow access from anywhere.",
  ],
] as const;

function AccessRulesSection({ org }: { org: Versioned<Organization> }) {
  const save = useSaveOrganization(org);
  const canEdit = useHasPermission()("settings.edit");
  const { require_second_factor, require_sso, email_domains, networks } = org;
  const saved = {
    require_second_factor,
    require_sso,
    email_domains: email_domains.join("\n"),
    networks: networks.join("\n"),
  };

  function submit(values: Values, changed: string[], done: () => void) {
    const rules = {
      ...values,
      email_domains: splitEntries(values.email_domains),
      networks: splitEntries(values.networks),
    };
    const changes = Object.entries(rules).filter(([field]) => changed.includes(field));
    save.mutate(Object.fromEntries(changes), { onSuccess: done });
  }

  return (
    <Section
      title="Access rules"
      description={canEdit ? "A rule that would lock you out is rejected." : "Admins set these rules."}
    >
      <VersionedForm
        saved={saved}
        labels={RULES}
        save={save}
        canEdit={canEdit}
        saveLabel="Save rules"
        onSave={submit}
      >
        {({ values, change, messages }) => (
          <>
            {CHECKED_RULES.map((name) => (
              <CheckboxField
                key={name}
                label={RULES[name]}
                checked={Boolean(values[name])}
                onChange={(checked) => change({ [name]: checked })}
                error={messages[name]}
                disabled={!canEdit}
              />
            ))}
            {LISTED_RULES.map(([name, hint]) => (
              <Field
                key={name}
                label={RULES[name]}
                optional={canEdit}
                hint={canEdit && hint}
                error={listMessage(messages, name)}
              >
                {(control) => (
                  <textarea
                    {...control}
                    rows={canEdit ? 2 : Math.max(1, String(values[name]).split("\n").length)}
                    placeholder={canEdit ? undefined : "Any"}
                    className="control h-auto! py-1.5 font-mono"
                    value={String(values[name])}
                    onChange={({ target }) => change({ [name]: target.value })}
                    readOnly={!canEdit}
                  />
                )}
              </Field>
            ))}
          </>
        )}
      </VersionedForm>
    </Section>
  );
}

interface CheckboxProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  error?: string;
  disabled: boolean;
}

function CheckboxField({ label, checked, onChange, error, disabled }: CheckboxProps) {
  return (
    <div>
      <label className="flex items-start gap-2.5">
        <input
          type="checkbox"
          checked={checked}
          onChange={({ target }) => onChange(target.checked)}
          disabled={disabled}
          className="mt-0.5"
        />
        {label}
      </label>
      {error && <p className="mt-1 text-xs text-bad">{error}</p>}
    </div>
  );
}

/** Lets an owner make another member an owner. The current owner becomes an admin. */
export function TransferSection({ org }: { org: Organization }) {
  const ownId = useSession()?.user.id;
  const members = useQuery(membersQuery);
  return (
    <Section
      title="Transfer ownership"
      description="Another member becomes an owner, and you become an admin."
    >
      <QueryContent query={members}>
        {({ results }) => (
          <TransferForm
            org={org}
            otherMembers={results.filter(({ kind, user_id }) => kind === "person" && user_id !== ownId)}
          />
        )}
      </QueryContent>
    </Section>
  );
}

function TransferForm({ org, otherMembers }: { org: Organization; otherMembers: Member[] }) {
  const client = useQueryClient();
  const [newOwner, setNewOwner] = useState<Member | null>(null);
  const transfer = useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/org/transfer", { body: { member_id: id } })),
    onSuccess: async () => {
      await Promise.all([refreshSession(), client.invalidateQueries({ queryKey: membersQuery.queryKey })]);
      showSuccess("Ownership transferred. You are now an admin.");
    },
    onError: (error) => showError(error),
  });
  if (otherMembers.length === 0)
    return <p className="text-soft">You are the only member. Invite someone first.</p>;
  return (
    <>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const id = new FormData(event.currentTarget).get("member");
          setNewOwner(otherMembers.find((other) => other.id === id) ?? null);
        }}
      >
        <Field label="To" action={<Button type="submit">Transfer</Button>}>
          {(control) => (
            <select {...control} name="member" className="control w-auto! min-w-0">
              {otherMembers.map(({ id, name, email }) => (
                <option key={id} value={id}>
                  {name ? `${name} (${email})` : email}
                </option>
              ))}
            </select>
          )}
        </Field>
      </form>
      <ConfirmDialog
        open={newOwner !== null}
        title={`Transfer ${org.name} to ${newOwner?.name || newOwner?.email}?`}
        confirmLabel="Transfer ownership"
        danger
        onClose={() => setNewOwner(null)}
        onConfirm={() => {
          transfer.mutate(newOwner!.id);
          setNewOwner(null);
        }}
      >
        Only an owner can make you an owner again.
      </ConfirmDialog>
    </>
  );
}

function LeaveOrDeleteSection({ org }: { org: Versioned<Organization> }) {
  const router = useRouter();
  const client = useQueryClient();
  const hasPermission = useHasPermission();
  const [isConfirming, setIsConfirming] = useState(false);
  const storeOrganization = (organization: Versioned<Organization>) => {
    client.setQueryData(organizationQuery.queryKey, organization);
    return refreshSession();
  };
  const remove = useMutation({
    mutationFn: () =>
      unwrapVersioned(api.DELETE("/api/v1/org", { params: { header: { "If-Match": org.etag } } })),
    onSuccess: storeOrganization,
    onError: async (error) => {
      showError(error);
      if (isChangedMeanwhile(error)) await client.invalidateQueries({ queryKey: organizationQuery.queryKey });
    },
  });
  const restore = useMutation({
    mutationFn: () => unwrapVersioned(api.POST("/api/v1/org/restore")),
    onSuccess: storeOrganization,
    onError: (error) => showError(error),
  });
  const leave = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/org/leave")),
    onSuccess: async () => {
      rememberOrganization(null);
      await refreshSession();
      queryClient.clear();
      void router.navigate({ to: "/" });
    },
    onError: (error) => showError(error),
  });
  const [typedName, setTypedName] = useState("");
  return (
    <Section
      title="Leave or delete"
      description="A deleted organization can be viewed, exported and restored until it is permanently erased."
    >
      <div className="flex flex-wrap gap-2">
        {hasPermission("audit.view") && <Button onClick={() => void exportData(org)}>Export all data</Button>}
        {isConfirming ? (
          <Button look="danger" onClick={() => leave.mutate()}>
            Yes, leave {org.name}
          </Button>
        ) : (
          <Button onClick={() => setIsConfirming(true)}>Leave organization</Button>
        )}
        {org.deletion_at && hasPermission("org.delete") && (
          <Button look="primary" onClick={() => restore.mutate()}>
            Restore
          </Button>
        )}
      </div>
      {org.deletion_at ? (
        <p role="status" className="mt-4 text-bad">
          The organization will be permanently erased on {absoluteTime(org.deletion_at)}.
        </p>
      ) : (
        hasPermission("org.delete") && (
          <form
            className="mt-4 max-w-xl"
            onSubmit={(event) => {
              event.preventDefault();
              remove.mutate();
            }}
          >
            <TextField
              label={`To delete the organization, type its name: ${org.name}`}
              autoComplete="off"
              value={typedName}
              onChange={({ target }) => setTypedName(target.value)}
              action={
                <Button
                  type="submit"
                  look="danger"
                  disabledReason={typedName === org.name ? null : "Type the organization's name first"}
                >
                  Delete
                </Button>
              }
            />
          </form>
        )
      )}
    </Section>
  );
}

async function exportData(org: Organization) {
  try {
    await downloadFile("/api/v1/org/export", `${org.slug}.jsonl`);
  } catch (error) {
    showError(error);
  }
}

function CreateOrganizationSection() {
  const enter = useEnterOrganization();
  const isLimitedToOrganization = useSession()?.user.limited;
  const create = useMutation({
    mutationFn: (name: string) => unwrap(api.POST("/api/v1/organizations", { body: { name } })),
    onSuccess: enter,
  });
  if (isLimitedToOrganization) return null;
  return (
    <Section
      title="Create another organization"
      description="You will be its owner. It shares nothing with this organization."
    >
      <form
        className="max-w-md"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate(String(new FormData(event.currentTarget).get("name")).trim());
        }}
      >
        <TextField
          label="Name"
          name="name"
          maxLength={120}
          required
          error={fieldMessages(create.error).name}
          action={<Button type="submit">Create</Button>}
        />
      </form>
    </Section>
  );
}
