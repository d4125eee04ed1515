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
import { Entrance } from "./entrance";
import { takeHash } from "./link-secret";
import { gaveUp, passkeysWork, showPasskey } from "@/session/passkey";
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
  // a provider has vouched already and only the second factor is owed
  const [owed] = useState(() => takeHash().get("second_factor"));
  const [known, setKnown] = useState<Credentials | null>(null);

  function enter(session: Session) {
    begin(session);
    router.history.push(next ?? "/");
  }

  const login = useMutation({
    mutationFn: (body: Credentials) => answer(api.POST("/api/v1/auth/login", { body, fetch: plainFetch })),
    onSuccess: enter,
    onError: (error, body) => {
      if (error instanceof ProblemError && error.code === "second_factor_needed") setKnown(body);
    },
  });
  const goOn = useMutation({
    mutationFn: (mfa_code: string) =>
      answer(
        api.POST("/api/v1/auth/login/continue", {
          body: { challenge: owed ?? "", mfa_code },
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

  if (owed || known) {
    const failed = owed ? goOn.error : secondTry(login.error);
    return (
      <Entrance title="Second factor" footer={signup}>
        <CodeForm
          error={failed}
          pending={login.isPending || goOn.isPending}
          onCode={(code) => (owed ? goOn.mutate(code) : login.mutate({ ...known!, mfa_code: code }))}
        />
        {withPasskey && <div className="mt-3 grid">{withPasskey}</div>}
      </Entrance>
    );
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    login.mutate({ email: String(form.get("email")).trim(), password: String(form.get("password")) });
  }

  const told = providerProblem(problem);
  return (
    <Entrance title="Log in" footer={signup}>
      <form onSubmit={submit} className="grid gap-4">
        {told && !login.error && <Told>{told}</Told>}
        {login.error && <LoginProblem error={login.error} />}
        {passkey.error && !gaveUp(passkey.error) && <LoginProblem error={passkey.error} />}
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
          Forgot the password?
        </Link>
      </form>
      <Providers next={next} />
    </Entrance>
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
        hint="Of your authenticator app, or one of your recovery codes."
        error={wrong}
      />
      <Button type="submit" look="primary" className="justify-center" blocked={pending ? "Checking" : null}>
        {pending ? "Checking…" : "Go on"}
      </Button>
    </form>
  );
}

/** The first answer only said that a code is needed, which is no mistake of theirs. */
function secondTry(error: unknown): unknown {
  return error instanceof ProblemError && error.code === "second_factor_needed" ? null : error;
}

function Told({ children }: { children: string }) {
  return (
    <div role="alert" className="rounded-card border border-line bg-bad-wash px-4 py-3">
      {children}
    </div>
  );
}

/** One sentence for a wrong address and a wrong password alike. */
function LoginProblem({ error }: { error: unknown }) {
  const usual = error instanceof ProblemError && [400, 401, 422].includes(error.status);
  if (!usual) return <ErrorNotice error={error} />;
  return <Told>E-mail and password do not match. Check both and try again.</Told>;
}
