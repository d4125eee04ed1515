import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { answer, api } from "@/api/client";
import { downloadFile } from "@/api/download";
import { fieldMessages } from "@/api/problem";
import { refresh, rememberOrganization } from "@/api/session";
import type { Member, Organization } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Field, TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { useEntering } from "@/session/use-entering";
import { useMay, useSession } from "@/session/use-session";
import { absoluteTime } from "@/format/time";
import { queryClient } from "@/query-client";
import { membersQuery } from "./members-page";
import { organizationQuery, useSaveOrganization } from "./organization";
import { Limits, Retention } from "./organization-numbers";
import { Loaded, Section } from "./parts";

export function OrganizationPage() {
  const organization = useQuery(organizationQuery);
  const may = useMay();
  return (
    <Loaded query={organization}>
      {(org) => (
        <>
          <General org={org} />
          <Rules org={org} />
          <Limits org={org} />
          <Retention org={org} />
          {may("org.transfer") && !org.deletion_at && <Transfer org={org} />}
          <Ending org={org} />
          <Another />
        </>
      )}
    </Loaded>
  );
}

function General({ org }: { org: Organization }) {
  const save = useSaveOrganization();
  const may = useMay()("org.update");
  return (
    <Section title="Organization" about={<>Short name for single sign-on: {org.slug}</>}>
      <form
        className="max-w-md"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate({ name: String(new FormData(event.currentTarget).get("name")).trim() });
        }}
      >
        <TextField
          label="Name"
          name="name"
          defaultValue={org.name}
          maxLength={120}
          required
          readOnly={!may}
          error={fieldMessages(save.error).name}
          action={may && <Button type="submit">Save</Button>}
        />
      </form>
    </Section>
  );
}

const lines = (text: FormDataEntryValue | null) =>
  String(text ?? "")
    .split(/[\s,]+/)
    .filter(Boolean);

/** The message for a list or for one of its items. */
function atList(messages: Record<string, string>, name: string): string | undefined {
  const found = Object.entries(messages).find(([field]) => field === name || field.startsWith(`${name}.`));
  return found?.[1];
}

function Rules({ org }: { org: Organization }) {
  const save = useSaveOrganization();
  const may = useMay()("settings.edit");
  const messages = fieldMessages(save.error);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    save.mutate({
      require_second_factor: form.has("require_second_factor"),
      require_sso: form.has("require_sso"),
      email_domains: lines(form.get("email_domains")),
      networks: lines(form.get("networks")),
    });
  }

  return (
    <Section title="Access rules" about="A rule that would lock you out is rejected.">
      <form className="grid max-w-xl gap-4" onSubmit={submit}>
        {save.error && Object.keys(messages).length === 0 && <ErrorNotice error={save.error} />}
        <Check
          name="require_second_factor"
          label="Require two-factor authentication"
          on={org.require_second_factor}
          error={messages.require_second_factor}
          disabled={!may}
        />
        <Check
          name="require_sso"
          label="Require single sign-on (owners can still log in with their own password or passkey)"
          on={org.require_sso}
          error={messages.require_sso}
          disabled={!may}
        />
        <Field
          label="E-mail domains"
          optional
          hint="Only addresses in these domains can be invited. One per line. Blank = any address."
          error={atList(messages, "email_domains")}
        >
          {(control) => (
            <textarea
              {...control}
              name="email_domains"
              rows={2}
              className="control h-auto! py-1.5 font-mono"
              defaultValue={org.email_domains.join("\n")}
              readOnly={!may}
            />
          )}
        </Field>
        <Field
          label="Networks"
          optional
          hint="Only these IP addresses or CIDR blocks have access. One per line, including your own. Blank = from anywhere."
          error={atList(messages, "networks")}
        >
          {(control) => (
            <textarea
              {...control}
              name="networks"
              rows={2}
              className="control h-auto! py-1.5 font-mono"
              defaultValue={org.networks.join("\n")}
              readOnly={!may}
            />
          )}
        </Field>
        {may && (
          <Button type="submit" className="justify-self-start">
            Save rules
          </Button>
        )}
      </form>
    </Section>
  );
}

function Check({
  name,
  label,
  on,
  error,
  disabled,
}: {
  name: string;
  label: string;
  on: boolean;
  error?: string;
  disabled: boolean;
}) {
  return (
    <div>
      <label className="flex items-start gap-2.5">
        <input type="checkbox" name={name} defaultChecked={on} disabled={disabled} className="mt-0.5" />
        {label}
      </label>
      {error && <p className="mt-1 text-xs text-bad">{error}</p>}
    </div>
  );
}

/** An owner makes another member the owner and becomes an admin. */
function Transfer({ org }: { org: Organization }) {
  const mine = useSession()?.user.id;
  const client = useQueryClient();
  const [member, setMember] = useState<Member | null>(null);
  const members = useQuery(membersQuery);
  const transfer = useMutation({
    mutationFn: (id: string) => answer(api.POST("/api/v1/org/transfer", { body: { member_id: id } })),
    onSuccess: async () => {
      await Promise.all([refresh(), client.invalidateQueries({ queryKey: membersQuery.queryKey })]);
      showSuccess("Ownership transferred. You are now an admin.");
    },
    onError: (error) => showError(error),
  });
  const others = (members.data?.results ?? []).filter(
    ({ kind, user_id }) => kind === "person" && user_id !== mine,
  );
  return (
    <Section title="Transfer ownership" about="Another member becomes an owner, and you become an admin.">
      {others.length === 0 ? (
        <p className="text-soft">You are the only member. Invite someone first.</p>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const id = new FormData(event.currentTarget).get("member");
            setMember(others.find((each) => each.id === id) ?? null);
          }}
        >
          <Field label="To" action={<Button type="submit">Transfer</Button>}>
            {(control) => (
              <select {...control} name="member" className="control w-auto! min-w-0">
                {others.map(({ id, name, email }) => (
                  <option key={id} value={id}>
                    {name ? `${name} (${email})` : email}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </form>
      )}
      <ConfirmDialog
        open={member !== null}
        title={`Transfer ${org.name} to ${member?.name || member?.email}?`}
        confirm="Transfer ownership"
        danger
        onClose={() => setMember(null)}
        onConfirm={() => {
          transfer.mutate(member!.id);
          setMember(null);
        }}
      >
        Only an owner can make you an owner again.
      </ConfirmDialog>
    </Section>
  );
}

function Ending({ org }: { org: Organization }) {
  const router = useRouter();
  const client = useQueryClient();
  const may = useMay();
  const [leaving, setLeaving] = useState(false);
  const remember = (saved: Organization) => {
    client.setQueryData(organizationQuery.queryKey, saved);
    return refresh();
  };
  const remove = useMutation({
    mutationFn: () => answer(api.DELETE("/api/v1/org")),
    onSuccess: remember,
    onError: (error) => showError(error),
  });
  const restore = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/org/restore")),
    onSuccess: remember,
    onError: (error) => showError(error),
  });
  const leave = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/org/leave")),
    onSuccess: async () => {
      rememberOrganization(null);
      await refresh();
      queryClient.clear();
      void router.navigate({ to: "/" });
    },
    onError: (error) => showError(error),
  });
  const [typed, setTyped] = useState("");
  return (
    <Section
      title="Leave or delete"
      about="A deleted organization can be viewed, exported and restored until it is permanently erased."
    >
      <div className="flex flex-wrap gap-2">
        {may("audit.view") && <Button onClick={() => void download(org)}>Export all data</Button>}
        {leaving ? (
          <Button look="danger" onClick={() => leave.mutate()}>
            Yes, leave {org.name}
          </Button>
        ) : (
          <Button onClick={() => setLeaving(true)}>Leave organization</Button>
        )}
        {org.deletion_at && may("org.delete") && (
          <Button look="primary" onClick={() => restore.mutate()}>
            Restore
          </Button>
        )}
      </div>
      {org.deletion_at ? (
        <p role="status" className="mt-4 text-bad">
          It will be permanently erased on {absoluteTime(org.deletion_at)}.
        </p>
      ) : (
        may("org.delete") && (
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
              value={typed}
              onChange={({ target }) => setTyped(target.value)}
              action={
                <Button
                  type="submit"
                  look="danger"
                  blocked={typed === org.name ? null : "Type the organization's name first"}
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

async function download(org: Organization) {
  try {
    await downloadFile("/api/v1/org/export", `${org.slug}.jsonl`);
  } catch (error) {
    showError(error);
  }
}

function Another() {
  const enter = useEntering();
  const limited = useSession()?.user.limited;
  const create = useMutation({
    mutationFn: (name: string) => answer(api.POST("/api/v1/organizations", { body: { name } })),
    onSuccess: enter,
  });
  if (limited) return null;
  return (
    <Section
      title="Create another organization"
      about="You will be its owner. It shares nothing with this organization."
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
