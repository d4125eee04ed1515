import { useMutation } from "@tanstack/react-query";
import { Link, useRouter, useSearch } from "@tanstack/react-router";
import type { FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { startSession, plainFetch } from "@/api/session";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import type { Session } from "@/api/types";
import { SignInLayout } from "./sign-in-layout";
import { Providers } from "./providers";

interface Registration {
  name: string;
  organization_name: string;
  email: string;
  password: string;
}

export function SignupPage() {
  const { next } = useSearch({ from: "/signup" });
  const router = useRouter();
  const signup = useMutation({
    mutationFn: (body: Registration) =>
      // A 202 has no body.
      unwrap<Session | undefined>(api.POST("/api/v1/auth/register", { body, fetch: plainFetch })),
    onSuccess: (session) => {
      if (!session) return; // the user must confirm the address first
      startSession(session);
      router.history.push(next ?? "/");
    },
  });
  if (signup.isSuccess && !signup.data) {
    return (
      <SignInLayout title="Check your e-mail" footer={null}>
        <p role="status">
          We sent an e-mail to {signup.variables.email}. Follow the link in it, then{" "}
          <Link to="/login" search={{ next }} className="link">
            log in
          </Link>
          .
        </p>
      </SignInLayout>
    );
  }
  const messages = fieldMessages(signup.error);
  const hasGeneralError = signup.error && Object.keys(messages).length === 0;

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name)).trim();
    signup.mutate({
      name: text("name"),
      organization_name: text("organization_name"),
      email: text("email"),
      password: String(form.get("password")),
    });
  }

  return (
    <SignInLayout
      title="Create an organization"
      footer={
        <>
          Already have an account?{" "}
          <Link to="/login" search={{ next }} className="link">
            Log in
          </Link>
        </>
      }
    >
      <form onSubmit={submit} className="grid gap-4">
        {hasGeneralError && <ErrorNotice error={signup.error} />}
        <TextField
          label="Your name"
          name="name"
          autoComplete="name"
          required
          autoFocus
          error={messages.name}
        />
        <TextField
          label="Organization"
          name="organization_name"
          autoComplete="organization"
          required
          hint="Your team or company. Everything you create belongs to it."
          error={messages.organization_name}
        />
        <TextField
          label="E-mail"
          name="email"
          type="email"
          autoComplete="username"
          required
          error={messages.email}
        />
        <TextField
          label="Password"
          name="password"
          type="password"
          autoComplete="new-password"
          required
          minLength={8}
          maxLength={1024}
          hint="At least 8 characters. Longer is better: use a few words."
          error={messages.password}
        />
        <Button
          type="submit"
          look="primary"
          className="justify-center"
          disabledReason={signup.isPending ? "Creating" : null}
        >
          {signup.isPending ? "Creating…" : "Create organization"}
        </Button>
      </form>
      <Providers next={next} />
    </SignInLayout>
  );
}
