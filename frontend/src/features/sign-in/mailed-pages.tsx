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
import { Entrance } from "./entrance";
import { useLinkSecret } from "./link-secret";

const back = (
  <Link to="/login" search={{}} className="link">
    Back to the log-in
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
    <Entrance title="Forgot the password?" footer={back}>
      {ask.isSuccess ? (
        <p role="status">
          If there is an account with this address, a mail with a link is on its way. The link works for an
          hour.
        </p>
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          {ask.error && <ErrorNotice error={ask.error} />}
          <TextField label="E-mail" name="email" type="email" autoComplete="username" required autoFocus />
          <Button type="submit" look="primary" className="justify-center">
            {ask.isPending ? "Sending…" : "Send me a link"}
          </Button>
        </form>
      )}
    </Entrance>
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
    <Entrance title="Set a new password" footer={back}>
      {reset.isSuccess ? (
        <Done>Your password is set, and every session was ended. Log in with it now.</Done>
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
            hint="At least 8 characters. Long beats complicated: a few words are fine."
            error={weak}
          />
          <Button type="submit" look="primary" className="justify-center">
            {reset.isPending ? "Setting…" : "Set the password"}
          </Button>
        </form>
      )}
    </Entrance>
  );
}

export function VerifyEmailPage() {
  const token = useLinkSecret();
  const { mutate, error, isSuccess } = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/auth/email/verify", { body: { token }, fetch: plainFetch })),
  });
  useEffect(() => mutate(), [mutate]);
  return (
    <Entrance title="Your e-mail address" footer={back}>
      {error && <ErrorNotice error={error} />}
      {isSuccess && <Done>The address is confirmed.</Done>}
      {!error && !isSuccess && <p role="status">Confirming…</p>}
    </Entrance>
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
