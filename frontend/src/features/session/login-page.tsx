import { useMutation } from "@tanstack/react-query";
import { Link, useRouter, useSearch } from "@tanstack/react-router";
import type { FormEvent } from "react";
import { answer, api } from "@/api/client";
import { ProblemError } from "@/api/problem";
import { begin, plainFetch } from "@/api/session";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { Entrance } from "./entrance";

export function LoginPage() {
  const { next } = useSearch({ from: "/login" });
  const router = useRouter();
  const login = useMutation({
    mutationFn: (body: { email: string; password: string }) =>
      answer(api.POST("/api/v1/auth/login", { body, fetch: plainFetch })),
    onSuccess: (session) => {
      begin(session);
      router.history.push(next ?? "/pipelines");
    },
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    login.mutate({ email: String(form.get("email")).trim(), password: String(form.get("password")) });
  }

  return (
    <Entrance
      title="Log in"
      footer={
        <>
          New here?{" "}
          <Link to="/signup" search={{ next }} className="link">
            Create an organization
          </Link>
        </>
      }
    >
      <form onSubmit={submit} className="grid gap-4">
        {login.error && <LoginProblem error={login.error} />}
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
      </form>
    </Entrance>
  );
}

/** One sentence for a wrong address and a wrong password alike. */
function LoginProblem({ error }: { error: unknown }) {
  if (!(error instanceof ProblemError) || ![400, 401, 422].includes(error.status)) {
    return <ErrorNotice error={error} />;
  }
  return (
    <div role="alert" className="rounded-card border border-line bg-bad-wash px-4 py-3">
      E-mail and password do not match. Check both and try again.
    </div>
  );
}
