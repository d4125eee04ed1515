import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, type FormEvent } from "react";
import { answer, api } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { plainFetch } from "@/api/session";
import { Button, buttonLook } from "@/components/button";
import { classNames } from "@/components/class-names";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { SignInLayout } from "./sign-in-layout";
import { useLinkSecret } from "./link-secret";

const back = (
  <Link to="/login" search={{}} className="link">
    Back to login
  </Link>
);

export function ForgotPasswordPage() {
  const ask = useMutation({
    mutationFn: (email: string) =>
      answer(api.POST("/api/v1/auth/password/forgot", { body: { email }, fetch: plainFetch })),
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    ask.mutate(String(new FormData(event.currentTarget).get("email")).trim());
  }

  return (
    <SignInLayout title="Forgot your password?" footer={back}>
      {ask.isSuccess ? (
        <p role="status">
          If an account with this address exists, we sent it an e-mail with a link. The link works for one
          hour.
        </p>
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          {ask.error && <ErrorNotice error={ask.error} />}
          <TextField label="E-mail" name="email" type="email" autoComplete="username" required autoFocus />
          <Button type="submit" look="primary" className="justify-center">
            {ask.isPending ? "Sending…" : "Send reset link"}
          </Button>
        </form>
      )}
    </SignInLayout>
  );
}

export function ResetPasswordPage() {
  const token = useLinkSecret();
  const reset = useMutation({
    mutationFn: (password: string) =>
      answer(api.POST("/api/v1/auth/password/reset", { body: { token, password }, fetch: plainFetch })),
  });
  const weak = fieldMessages(reset.error).password;

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    reset.mutate(String(new FormData(event.currentTarget).get("password")));
  }

  return (
    <SignInLayout title="Set a new password" footer={back}>
      {reset.isSuccess ? (
        <Done>Your password was changed and all your sessions were ended. Log in with the new password.</Done>
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          {reset.error && !weak && <ErrorNotice error={reset.error} />}
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
            error={weak}
          />
          <Button type="submit" look="primary" className="justify-center">
            {reset.isPending ? "Saving…" : "Set password"}
          </Button>
        </form>
      )}
    </SignInLayout>
  );
}

export function VerifyEmailPage() {
  const token = useLinkSecret();
  const { mutate, error, isSuccess } = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/auth/email/verify", { body: { token }, fetch: plainFetch })),
  });
  useEffect(() => mutate(), [mutate]);
  return (
    <SignInLayout title="Confirm your e-mail address" footer={back}>
      {error && <ErrorNotice error={error} />}
      {isSuccess && <Done>Your e-mail address is confirmed.</Done>}
      {!error && !isSuccess && <p role="status">Confirming…</p>}
    </SignInLayout>
  );
}

function Done({ children }: { children: string }) {
  return (
    <div className="grid gap-4">
      <p role="status">{children}</p>
      <Link to="/login" search={{}} className={classNames(buttonLook("primary"), "justify-center")}>
        Log in
      </Link>
    </div>
  );
}
