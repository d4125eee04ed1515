import { useMutation } from "@tanstack/react-query";
import { Link, useRouter, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { ProblemError } from "@/api/problem";
import { startSession, plainFetch } from "@/api/session";
import type { Session } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { SignInLayout } from "./sign-in-layout";
import { useHashParameters } from "./link-secret";
import { wasCancelled, supportsPasskeys, signWithPasskey } from "@/session/passkey";
import { providerMessage } from "./problems";
import { Providers } from "./providers";

interface Credentials {
  email: string;
  password: string;
  mfa_code?: string;
}

export function LoginPage() {
  const { next, problem } = useSearch({ from: "/login" });
  const router = useRouter();
  // The challenge of a log-in through a provider that still requires a second factor.
  const challenge = useHashParameters().get("second_factor");
  const [credentials, setCredentials] = useState<Credentials | null>(null);

  function enter(session: Session) {
    startSession(session);
    router.history.push(next ?? "/");
  }

  const login = useMutation({
    mutationFn: (body: Credentials) => unwrap(api.POST("/api/v1/auth/login", { body, fetch: plainFetch })),
    onSuccess: enter,
    onError: (error, body) => {
      if (error instanceof ProblemError && error.code === "second_factor_needed") setCredentials(body);
    },
  });
  const continueLogin = useMutation({
    mutationFn: (mfa_code: string) =>
      unwrap(
        api.POST("/api/v1/auth/login/continue", {
          body: { challenge: challenge ?? "", mfa_code },
          fetch: plainFetch,
        }),
      ),
    onSuccess: enter,
  });
  const loginWithPasskey = useMutation({
    mutationFn: async () => {
      const passkeyChallenge = await unwrap(api.POST("/api/v1/auth/passkey/begin", { fetch: plainFetch }));
      const body = await signWithPasskey(passkeyChallenge);
      return unwrap(api.POST("/api/v1/auth/passkey/login", { body, fetch: plainFetch }));
    },
    onSuccess: enter,
  });

  const signupLink = (
    <>
      No account yet?{" "}
      <Link to="/signup" search={{ next }} className="link">
        Create an organization
      </Link>
    </>
  );
  const passkeyButton = supportsPasskeys() && (
    <Button className="justify-center" onClick={() => loginWithPasskey.mutate()}>
      {loginWithPasskey.isPending ? "Waiting for your passkey…" : "Log in with a passkey"}
    </Button>
  );

  if (challenge || credentials) {
    const error = challenge ? continueLogin.error : withoutCodeRequest(login.error);
    return (
      <SignInLayout title="Two-factor authentication" footer={signupLink}>
        <CodeForm
          error={error}
          pending={login.isPending || continueLogin.isPending}
          onSubmit={(code) =>
            challenge ? continueLogin.mutate(code) : login.mutate({ ...credentials!, mfa_code: code })
          }
        />
        {passkeyButton && <div className="mt-3 grid">{passkeyButton}</div>}
      </SignInLayout>
    );
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    login.mutate({ email: String(form.get("email")).trim(), password: String(form.get("password")) });
  }

  const problemText = providerMessage(problem);
  return (
    <SignInLayout title="Log in" footer={signupLink}>
      <form onSubmit={submit} className="grid gap-4">
        {problemText && !login.error && <Alert>{problemText}</Alert>}
        {login.error && <LoginError error={login.error} />}
        {loginWithPasskey.error && !wasCancelled(loginWithPasskey.error) && (
          <ErrorNotice error={loginWithPasskey.error} />
        )}
        <TextField label="E-mail" name="email" type="email" autoComplete="username" required autoFocus />
        <TextField
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          required
        />
        <Button
          type="submit"
          look="primary"
          className="justify-center"
          disabledReason={login.isPending ? "Logging in" : null}
        >
          {login.isPending ? "Logging in…" : "Log in"}
        </Button>
        {passkeyButton}
        <Link to="/forgot-password" className="link justify-self-center text-[0.8125rem]">
          Forgot your password?
        </Link>
      </form>
      <Providers next={next} />
    </SignInLayout>
  );
}

export function CodeForm({
  error,
  pending,
  onSubmit,
}: {
  error: unknown;
  pending: boolean;
  onSubmit: (code: string) => void;
}) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    onSubmit(String(new FormData(event.currentTarget).get("code")).trim());
  }
  const wrongCode = error instanceof ProblemError && error.code === "wrong_code" ? error.message : null;
  return (
    <form onSubmit={submit} className="grid gap-4">
      {error !== null && !wrongCode && <ErrorNotice error={error} />}
      <TextField
        label="Code"
        name="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        required
        autoFocus
        hint="From your authenticator app, or one of your recovery codes."
        error={wrongCode}
      />
      <Button
        type="submit"
        look="primary"
        className="justify-center"
        disabledReason={pending ? "Checking" : null}
      >
        {pending ? "Checking…" : "Continue"}
      </Button>
    </form>
  );
}

/** Returns the error, or null if the server only requests a code. */
export function withoutCodeRequest(error: unknown): unknown {
  return error instanceof ProblemError && error.code === "second_factor_needed" ? null : error;
}

function Alert({ children }: { children: string }) {
  return (
    <div role="alert" className="rounded-card border border-line bg-bad-wash px-4 py-3">
      {children}
    </div>
  );
}

/** Shows the same text for a wrong address and a wrong password, so that it does not reveal whether the account exists. */
export function LoginError({ error }: { error: unknown }) {
  const isWrongLogin = error instanceof ProblemError && [400, 401, 422].includes(error.status);
  if (!isWrongLogin) return <ErrorNotice error={error} />;
  return <Alert>The e-mail address or the password is incorrect. Check both and try again.</Alert>;
}
