import { useMutation } from "@tanstack/react-query";
import { Link, useRouter, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { answer, api } from "@/api/client";
import { ProblemError } from "@/api/problem";
import { begin, plainFetch } from "@/api/session";
import type { Session } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { SignInLayout } from "./sign-in-layout";
import { takeHash } from "./link-secret";
import { wasCancelled, passkeysWork, showPasskey } from "@/session/passkey";
import { providerProblem } from "./problems";
import { Providers } from "./providers";

interface Credentials {
  email: string;
  password: string;
  mfa_code?: string;
}

export function LoginPage() {
  const { next, problem } = useSearch({ from: "/login" });
  const router = useRouter();
  // after a log-in through a provider that still needs the second factor
  const [challenge] = useState(() => takeHash().get("second_factor"));
  const [credentials, setCredentials] = useState<Credentials | null>(null);

  function enter(session: Session) {
    begin(session);
    router.history.push(next ?? "/");
  }

  const login = useMutation({
    mutationFn: (body: Credentials) => answer(api.POST("/api/v1/auth/login", { body, fetch: plainFetch })),
    onSuccess: enter,
    onError: (error, body) => {
      if (error instanceof ProblemError && error.code === "second_factor_needed") setCredentials(body);
    },
  });
  const continueLogin = useMutation({
    mutationFn: (mfa_code: string) =>
      answer(
        api.POST("/api/v1/auth/login/continue", {
          body: { challenge: challenge ?? "", mfa_code },
          fetch: plainFetch,
        }),
      ),
    onSuccess: enter,
  });
  const passkey = useMutation({
    mutationFn: async () => {
      const begun = await answer(api.POST("/api/v1/auth/passkey/begin", { fetch: plainFetch }));
      const body = await showPasskey(begun);
      return answer(api.POST("/api/v1/auth/passkey/login", { body, fetch: plainFetch }));
    },
    onSuccess: enter,
  });

  const signup = (
    <>
      New here?{" "}
      <Link to="/signup" search={{ next }} className="link">
        Create an organization
      </Link>
    </>
  );
  const withPasskey = passkeysWork() && (
    <Button className="justify-center" onClick={() => passkey.mutate()}>
      {passkey.isPending ? "Waiting for your passkey…" : "Log in with a passkey"}
    </Button>
  );

  if (challenge || credentials) {
    const failed = challenge ? continueLogin.error : secondTry(login.error);
    return (
      <SignInLayout title="Two-factor authentication" footer={signup}>
        <CodeForm
          error={failed}
          pending={login.isPending || continueLogin.isPending}
          onCode={(code) =>
            challenge ? continueLogin.mutate(code) : login.mutate({ ...credentials!, mfa_code: code })
          }
        />
        {withPasskey && <div className="mt-3 grid">{withPasskey}</div>}
      </SignInLayout>
    );
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    login.mutate({ email: String(form.get("email")).trim(), password: String(form.get("password")) });
  }

  const problemText = providerProblem(problem);
  return (
    <SignInLayout title="Log in" footer={signup}>
      <form onSubmit={submit} className="grid gap-4">
        {problemText && !login.error && <Alert>{problemText}</Alert>}
        {login.error && <LoginProblem error={login.error} />}
        {passkey.error && !wasCancelled(passkey.error) && <LoginProblem error={passkey.error} />}
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
          blocked={login.isPending ? "Logging in" : null}
        >
          {login.isPending ? "Logging in…" : "Log in"}
        </Button>
        {withPasskey}
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
  onCode,
}: {
  error: unknown;
  pending: boolean;
  onCode: (code: string) => void;
}) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    onCode(String(new FormData(event.currentTarget).get("code")).trim());
  }
  const wrong = error instanceof ProblemError && error.code === "wrong_code" ? error.message : null;
  return (
    <form onSubmit={submit} className="grid gap-4">
      {error !== null && !wrong && <ErrorNotice error={error} />}
      <TextField
        label="Code"
        name="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        required
        autoFocus
        hint="From your authenticator app, or one of your recovery codes."
        error={wrong}
      />
      <Button type="submit" look="primary" className="justify-center" blocked={pending ? "Checking" : null}>
        {pending ? "Checking…" : "Continue"}
      </Button>
    </form>
  );
}

/** The first answer only asks for a code, so it is not shown as an error. */
function secondTry(error: unknown): unknown {
  return error instanceof ProblemError && error.code === "second_factor_needed" ? null : error;
}

function Alert({ children }: { children: string }) {
  return (
    <div role="alert" className="rounded-card border border-line bg-bad-wash px-4 py-3">
      {children}
    </div>
  );
}

/** The same sentence for a wrong address and a wrong password: it must not say whether the account exists. */
function LoginProblem({ error }: { error: unknown }) {
  const usual = error instanceof ProblemError && [400, 401, 422].includes(error.status);
  if (!usual) return <ErrorNotice error={error} />;
  return <Alert>The e-mail address or the password is incorrect. Check both and try again.</Alert>;
}
