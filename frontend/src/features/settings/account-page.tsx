import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { FormEvent, ReactNode } from "react";
import { answer, api } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { providersQuery } from "@/api/providers";
import { queryKeys } from "@/api/query-keys";
import { refresh } from "@/api/session";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { When } from "@/components/when";
import { useSession } from "@/session/use-session";
import { Loaded, Section } from "./parts";

const textOf = (event: FormEvent<HTMLFormElement>, name: string) =>
  String(new FormData(event.currentTarget).get(name) ?? "");

export function AccountPage() {
  const user = useSession()?.user;
  if (!user) return null;
  if (user.limited) {
    return (
      <Section
        title="Your account"
        about="You logged in through this organization's identity provider. To change your account, log in with your own password or passkey instead."
      >
        <p>{user.email}</p>
      </Section>
    );
  }
  return (
    <>
      <Name name={user.name} />
      <Email
        email={user.email}
        verified={user.email_verified ?? false}
        hasPassword={user.has_password ?? false}
      />
      <Password hasPassword={user.has_password ?? false} />
      <Links hasPassword={user.has_password ?? false} />
    </>
  );
}

function Name({ name }: { name: string }) {
  const save = useMutation({
    mutationFn: (next: string) => answer(api.PATCH("/api/v1/auth/me", { body: { name: next } })),
    onSuccess: async () => {
      await refresh();
      showSuccess("Your name is saved.");
    },
  });
  return (
    <Section title="Name" about="Shown to other members next to what you did.">
      <form
        className="max-w-md"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate(textOf(event, "name").trim());
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

function CurrentPassword({ has, error, action }: { has: boolean; error?: string; action?: ReactNode }) {
  if (!has) {
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

function Email({ email, verified, hasPassword }: { email: string; verified: boolean; hasPassword: boolean }) {
  const change = useMutation({
    mutationFn: (body: { email: string; current_password: string }) =>
      answer(api.POST("/api/v1/auth/email/change", { body })),
  });
  const confirm = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/auth/email/send")),
    onSuccess: () => showSuccess("We sent you an e-mail with a link."),
    onError: (error) => showError(error),
  });
  const messages = fieldMessages(change.error);
  return (
    <Section
      title="E-mail address"
      about={
        <>
          {email} ({verified ? "confirmed" : "not confirmed yet"}). To change the address, follow the link
          that we send to the new one. All your sessions then end.
        </>
      }
      action={!verified && <Button onClick={() => confirm.mutate()}>Resend confirmation e-mail</Button>}
    >
      {change.isSuccess ? (
        <p role="status">If the address is available, we sent it an e-mail with a link.</p>
      ) : (
        <form
          className="grid max-w-md gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate({
              email: textOf(event, "email").trim(),
              current_password: textOf(event, "current_password"),
            });
          }}
        >
          {change.error && Object.keys(messages).length === 0 && <ErrorNotice error={change.error} />}
          <TextField label="New address" name="email" type="email" required error={messages.email} />
          <CurrentPassword has={hasPassword} error={messages.current_password} />
          <Button type="submit" className="justify-self-start">
            Change address
          </Button>
        </form>
      )}
    </Section>
  );
}

function Password({ hasPassword }: { hasPassword: boolean }) {
  const change = useMutation({
    mutationFn: (body: { current_password: string; new_password: string }) =>
      answer(api.POST("/api/v1/auth/password/change", { body })),
    onSuccess: async () => {
      await refresh();
      showSuccess("Your password was changed. Your other sessions were ended.");
    },
  });
  const messages = fieldMessages(change.error);
  return (
    <Section
      title="Password"
      about={
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
              current_password: textOf(event, "current_password"),
              new_password: textOf(event, "new_password"),
            },
            { onSuccess: () => form.reset() },
          );
        }}
      >
        {change.error && Object.keys(messages).length === 0 && <ErrorNotice error={change.error} />}
        <CurrentPassword has={hasPassword} error={messages.current_password} />
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

function Links({ hasPassword }: { hasPassword: boolean }) {
  const client = useQueryClient();
  const providers = useQuery(providersQuery);
  const links = useQuery({
    queryKey: queryKeys.linkedProviders,
    queryFn: () => answer(api.GET("/api/v1/auth/links")),
  });
  const options = (provider: string, current_password: string) => ({
    params: { path: { provider } },
    body: { current_password },
  });
  const link = useMutation({
    mutationFn: ({ provider, password }: { provider: string; password: string }) =>
      answer(api.POST("/api/v1/auth/links/{provider}", options(provider, password))),
    onSuccess: ({ location }) => globalThis.location.assign(location),
  });
  const unlink = useMutation({
    mutationFn: ({ provider, password }: { provider: string; password: string }) =>
      answer(api.POST("/api/v1/auth/links/{provider}/remove", options(provider, password))),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.linkedProviders }),
  });
  const known = providers.data?.providers ?? [];
  if (known.length === 0) return null;
  const failed = link.error ?? unlink.error;
  const messages = fieldMessages(failed);
  return (
    <Section title="Identity providers" about="Link an identity provider to log in without your password.">
      {failed && !messages.current_password && <ErrorNotice error={failed} />}
      <Loaded query={links}>
        {(data) => (
          <ul className="grid gap-3">
            {known.map(({ id, name }) => {
              const mine = data.links.find(({ provider }) => provider === id);
              return (
                <li key={id}>
                  <form
                    className="grid max-w-md gap-1"
                    onSubmit={(event) => {
                      event.preventDefault();
                      const given = { provider: id, password: textOf(event, "current_password") };
                      if (mine) unlink.mutate(given);
                      else link.mutate(given);
                    }}
                  >
                    <p>
                      {name}{" "}
                      <span className="text-faint">
                        {mine ? (
                          <>
                            linked <When at={mine.linked_at} />
                          </>
                        ) : (
                          "not linked"
                        )}
                      </span>
                    </p>
                    <CurrentPassword
                      has={hasPassword}
                      error={messages.current_password}
                      action={<Button type="submit">{mine ? "Unlink" : "Link"}</Button>}
                    />
                  </form>
                </li>
              );
            })}
          </ul>
        )}
      </Loaded>
    </Section>
  );
}
