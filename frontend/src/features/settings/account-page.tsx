import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent, type ReactNode } from "react";
import { api, unwrap } from "@/api/client";
import { downloadFile } from "@/api/download";
import { fieldMessages } from "@/api/problem";
import { providersQuery } from "@/api/providers";
import { queryKeys } from "@/api/query-keys";
import { refreshSession } from "@/api/session";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { useSession } from "@/session/use-session";
import { QueryContent, Section } from "@/components/section";

const fieldText = (event: FormEvent<HTMLFormElement>, name: string) =>
  String(new FormData(event.currentTarget).get(name) ?? "");

export function AccountPage() {
  const user = useSession()?.user;
  if (!user) return null;
  if (user.limited) {
    return (
      <>
        <Section
          title="Your account"
          description="You logged in through this organization's identity provider. To change your account, log in with your own password or passkey instead."
        >
          <p>{user.email}</p>
        </Section>
        <ConversationsSection />
      </>
    );
  }
  return (
    <>
      <NameSection name={user.name} />
      <EmailSection
        email={user.email}
        verified={user.email_verified ?? false}
        hasPassword={user.has_password ?? false}
      />
      <PasswordSection hasPassword={user.has_password ?? false} />
      <ConversationsSection />
      {/* Last, so that nothing moves when it is known whether there are providers. */}
      <ProvidersSection hasPassword={user.has_password ?? false} />
    </>
  );
}

function ConversationsSection() {
  if (!useSession()?.organization) return null;
  return (
    <Section
      title="Conversations with the agent"
      description="Download your conversations in this organization: what you and the agent wrote, the tool calls with their results, and the documents that you added. Nobody else can download them."
    >
      <Button
        onClick={() =>
          void downloadFile("/api/v1/agent/conversations/export", "conversations.jsonl").catch(showError)
        }
      >
        Download JSON Lines
      </Button>
    </Section>
  );
}

function NameSection({ name }: { name: string }) {
  const save = useMutation({
    mutationFn: (next: string) => unwrap(api.PATCH("/api/v1/auth/me", { body: { name: next } })),
    onSuccess: async () => {
      await refreshSession();
      showSuccess("Your name is saved.");
    },
  });
  return (
    <Section title="Name" description="Other members see this name next to your actions.">
      <form
        className="max-w-md"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate(fieldText(event, "name").trim());
        }}
      >
        <TextField
          label="Your name"
          name="name"
          defaultValue={name}
          maxLength={120}
          autoComplete="name"
          error={fieldMessages(save.error).name}
          action={<Button type="submit">Save</Button>}
        />
      </form>
    </Section>
  );
}

function CurrentPasswordField({
  hasPassword,
  error,
  action,
}: {
  hasPassword: boolean;
  error?: string;
  action?: ReactNode;
}) {
  if (!hasPassword) {
    return (
      <>
        {action && <div>{action}</div>}
        {error && <p className="text-xs text-bad">{error}</p>}
      </>
    );
  }
  return (
    <TextField
      label="Current password"
      name="current_password"
      type="password"
      autoComplete="current-password"
      required
      error={error}
      action={action}
    />
  );
}

function EmailSection({
  email,
  verified,
  hasPassword,
}: {
  email: string;
  verified: boolean;
  hasPassword: boolean;
}) {
  const change = useMutation({
    mutationFn: (body: { email: string; current_password: string }) =>
      unwrap(api.POST("/api/v1/auth/email/change", { body })),
  });
  const resendConfirmation = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/email/send")),
    onSuccess: () => showSuccess("We sent you an e-mail with a link."),
    onError: (error) => showError(error),
  });
  const messages = fieldMessages(change.error);
  return (
    <Section
      title="E-mail address"
      description={
        <>
          {email} ({verified ? "confirmed" : "not confirmed yet"}). To change the address, follow the link
          that we send to the new one. All your sessions then end.
        </>
      }
      action={
        !verified && <Button onClick={() => resendConfirmation.mutate()}>Resend confirmation e-mail</Button>
      }
    >
      {change.isSuccess ? (
        <p role="status">If the address is available, we sent it an e-mail with a link.</p>
      ) : (
        <form
          className="grid max-w-md gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate({
              email: fieldText(event, "email").trim(),
              current_password: fieldText(event, "current_password"),
            });
          }}
        >
          {change.error && Object.keys(messages).length === 0 && <ErrorNotice error={change.error} />}
          <TextField label="New address" name="email" type="email" required error={messages.email} />
          <CurrentPasswordField hasPassword={hasPassword} error={messages.current_password} />
          <Button type="submit" className="justify-self-start">
            Change address
          </Button>
        </form>
      )}
    </Section>
  );
}

function PasswordSection({ hasPassword }: { hasPassword: boolean }) {
  const change = useMutation({
    mutationFn: (body: { current_password: string; new_password: string }) =>
      unwrap(api.POST("/api/v1/auth/password/change", { body })),
    onSuccess: async () => {
      await refreshSession();
      showSuccess("Your password was changed. Your other sessions were ended.");
    },
  });
  const messages = fieldMessages(change.error);
  return (
    <Section
      title="Password"
      description={
        hasPassword
          ? "Changing your password ends all your other sessions."
          : "You log in through an identity provider. Set a password to be able to log in without it."
      }
    >
      <form
        className="grid max-w-md gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          change.mutate(
            {
              current_password: fieldText(event, "current_password"),
              new_password: fieldText(event, "new_password"),
            },
            { onSuccess: () => form.reset() },
          );
        }}
      >
        {change.error && Object.keys(messages).length === 0 && <ErrorNotice error={change.error} />}
        <CurrentPasswordField hasPassword={hasPassword} error={messages.current_password} />
        <TextField
          label="New password"
          name="new_password"
          type="password"
          autoComplete="new-password"
          required
          minLength={8}
          maxLength={1024}
          error={messages.new_password}
        />
        <Button type="submit" className="justify-self-start">
          Set password
        </Button>
      </form>
    </Section>
  );
}

function ProvidersSection({ hasPassword }: { hasPassword: boolean }) {
  const client = useQueryClient();
  const providers = useQuery(providersQuery);
  const links = useQuery({
    queryKey: queryKeys.linkedProviders,
    queryFn: () => unwrap(api.GET("/api/v1/auth/links")),
  });
  const requestOptions = (provider: string, current_password: string) => ({
    params: { path: { provider } },
    body: { current_password },
  });
  const link = useMutation({
    mutationFn: ({ provider, password }: { provider: string; password: string }) =>
      unwrap(api.POST("/api/v1/auth/links/{provider}", requestOptions(provider, password))),
    onSuccess: ({ location }) => globalThis.location.assign(location),
  });
  const unlink = useMutation({
    mutationFn: ({ provider, password }: { provider: string; password: string }) =>
      unwrap(api.POST("/api/v1/auth/links/{provider}/remove", requestOptions(provider, password))),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.linkedProviders }),
  });
  const [unlinking, setUnlinking] = useState<{ provider: string; password: string; name: string } | null>(
    null,
  );
  const availableProviders = providers.data?.providers ?? [];
  if (providers.isError)
    return <ErrorNotice error={providers.error} retry={() => void providers.refetch()} />;
  if (availableProviders.length === 0) return null;
  const error = link.error ?? unlink.error;
  const messages = fieldMessages(error);
  return (
    <Section
      title="Identity providers"
      description="Link an identity provider to log in without your password."
    >
      {error && !messages.current_password && <ErrorNotice error={error} />}
      <ConfirmDialog
        open={unlinking !== null}
        title={`Unlink ${unlinking?.name}?`}
        confirmLabel="Unlink"
        danger
        onClose={() => setUnlinking(null)}
        onConfirm={() => {
          if (unlinking) unlink.mutate(unlinking);
          setUnlinking(null);
        }}
      >
        You can no longer log in with {unlinking?.name} until you link it again.
      </ConfirmDialog>
      <QueryContent query={links}>
        {(data) => (
          <ul className="grid gap-3">
            {availableProviders.map(({ id, name }) => {
              const linked = data.links.find(({ provider }) => provider === id);
              return (
                <li key={id}>
                  <form
                    className="grid max-w-md gap-1"
                    onSubmit={(event) => {
                      event.preventDefault();
                      const request = { provider: id, password: fieldText(event, "current_password") };
                      if (linked) setUnlinking({ ...request, name });
                      else link.mutate(request);
                    }}
                  >
                    <p>
                      {name}{" "}
                      <span className="text-faint">
                        {linked ? (
                          <>
                            linked <RelativeTime time={linked.linked_at} />
                          </>
                        ) : (
                          "not linked"
                        )}
                      </span>
                    </p>
                    <CurrentPasswordField
                      hasPassword={hasPassword}
                      error={messages.current_password}
                      action={<Button type="submit">{linked ? "Unlink" : "Link"}</Button>}
                    />
                  </form>
                </li>
              );
            })}
          </ul>
        )}
      </QueryContent>
    </Section>
  );
}
