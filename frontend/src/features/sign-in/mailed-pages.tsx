import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { plainFetch } from "@/api/session";
import { Button, buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { BrokenLinkPage, isLinkRefused } from "./broken-link";
import { SignInLayout } from "./sign-in-layout";
import { useLinkSecret } from "./link-secret";

const loginLink = (
  <Link to="/login" search={{}} className="link">
    Back to login
  </Link>
);

export function ForgotPasswordPage() {
  const requestLink = useMutation({
    mutationFn: (email: string) =>
      unwrap(api.POST("/api/v1/auth/password/forgot", { body: { email }, fetch: plainFetch })),
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    requestLink.mutate(String(new FormData(event.currentTarget).get("email")).trim());
  }

  return (
    <SignInLayout title="Forgot your password?" footer={loginLink}>
      {requestLink.isSuccess ? (
        <p role="status">
          If an account with this address exists, we sent it an e-mail with a link. The link works for one
          hour.
        </p>
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          {requestLink.error && <ErrorNotice error={requestLink.error} />}
          <TextField label="E-mail" name="email" type="email" autoComplete="username" required autoFocus />
          <Button type="submit" look="primary" className="justify-center">
            {requestLink.isPending ? "Sending…" : "Send reset link"}
          </Button>
        </form>
      )}
    </SignInLayout>
  );
}

/** The page of a link to set a password. For another link it begins again. */
export function ResetPasswordPage() {
  const token = useLinkSecret();
  return <ResetPassword key={token} token={token} />;
}

function ResetPassword({ token }: { token: string }) {
  const reset = useMutation({
    mutationFn: (password: string) =>
      unwrap(api.POST("/api/v1/auth/password/reset", { body: { token, password }, fetch: plainFetch })),
  });
  const passwordMessage = fieldMessages(reset.error).password;

  if (!token || isLinkRefused(reset.error)) {
    return (
      <BrokenLinkPage title="The password can't be set with this link">
        <p className="text-soft">
          Open the whole link in the newest e-mail, or{" "}
          <Link to="/forgot-password" className="link">
            request a new link
          </Link>
          . It works for one hour.
        </p>
      </BrokenLinkPage>
    );
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    reset.mutate(String(new FormData(event.currentTarget).get("password")));
  }

  return (
    <SignInLayout title="Set a new password" footer={loginLink}>
      {reset.isSuccess ? (
        <DoneMessage>
          Your password was changed and all your sessions were ended. Log in with the new password.
        </DoneMessage>
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          {reset.error && !passwordMessage && <ErrorNotice error={reset.error} />}
          <TextField
            label="New password"
            name="password"
            type="password"
            autoComplete="new-password"
            required
            autoFocus
            minLength={8}
            maxLength={1024}
            hint="At least 8 characters. Longer is better: use a few words."
            error={passwordMessage}
          />
          <Button type="submit" look="primary" className="justify-center">
            {reset.isPending ? "Saving…" : "Set password"}
          </Button>
        </form>
      )}
    </SignInLayout>
  );
}

/** The page of a link to confirm an e-mail address. For another link it begins again. */
export function VerifyEmailPage() {
  const token = useLinkSecret();
  return <VerifyEmail key={token} token={token} />;
}

function VerifyEmail({ token }: { token: string }) {
  const { mutate, error, isSuccess } = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/email/verify", { body: { token }, fetch: plainFetch })),
  });
  useEffect(() => {
    if (token) mutate();
  }, [token, mutate]);
  if (!token || isLinkRefused(error)) {
    return (
      <BrokenLinkPage title="The address can't be confirmed with this link">
        <p className="text-soft">
          Open the whole link in the newest e-mail. If it does not work either, log in: until the address is
          confirmed, Drover offers there to send a new link.
        </p>
      </BrokenLinkPage>
    );
  }
  return (
    <SignInLayout title="Confirm your e-mail address" footer={loginLink}>
      {error && <ErrorNotice error={error} retry={mutate} />}
      {isSuccess && <DoneMessage>Your e-mail address is confirmed.</DoneMessage>}
      {!error && !isSuccess && <p role="status">Confirming…</p>}
    </SignInLayout>
  );
}

function DoneMessage({ children }: { children: string }) {
  return (
    <div className="grid gap-4">
      <p role="status">{children}</p>
      <Link to="/login" search={{}} className={classNames(buttonClasses("primary"), "justify-center")}>
        Log in
      </Link>
    </div>
  );
}
