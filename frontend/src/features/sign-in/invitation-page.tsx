import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent } from "react";
import { answer, api } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { currentSession, plainFetch, resume } from "@/api/session";
import type { Session } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { useEntering } from "@/session/use-entering";
import { useSession } from "@/session/use-session";
import { SignInLayout } from "./sign-in-layout";
import { Providers } from "./providers";

const KEPT = "drover.invitation"; // kept in this tab while its holder logs in

/** The secret behind `#`, or the one kept while its holder logged in. */
function takeSecret(): string {
  const given = globalThis.location.hash.slice(1);
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(history.state, "", globalThis.location.pathname);
  }
  return given || sessionStorage.getItem(KEPT) || "";
}

export function InvitationPage() {
  const [token] = useState(takeSecret);
  const enter = useEntering();
  const session = useSession();
  useEffect(() => {
    if (currentSession().status === "unknown") void resume();
  }, []);
  const shown = useQuery({
    queryKey: queryKeys.openInvitation(token),
    queryFn: () => answer(api.POST("/api/v1/invitations/show", { body: { token }, fetch: plainFetch })),
    retry: false,
  });

  const join = (next: Session) => {
    sessionStorage.removeItem(KEPT);
    enter(next);
  };

  const accept = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/invitations/accept", { body: { token } })),
    onSuccess: join,
  });
  const register = useMutation({
    mutationFn: (body: { name: string; email: string; password: string; invitation: string }) =>
      answer(api.POST("/api/v1/auth/register", { body, fetch: plainFetch })),
    onSuccess: join,
  });

  if (!shown.data) {
    return (
      <SignInLayout title="Invitation" footer={null}>
        {shown.error ? <ErrorNotice error={shown.error} /> : <Skeletons rows={3} />}
      </SignInLayout>
    );
  }
  const { organization, email, role, invited_by, single_sign_on } = shown.data;
  const messages = fieldMessages(register.error);
  const general = register.error && Object.keys(messages).length === 0;

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [name, password] = [String(form.get("name")).trim(), String(form.get("password"))];
    register.mutate({ name, email, password, invitation: token });
  }

  return (
    <SignInLayout
      title={`Join ${organization}`}
      footer={
        session ? null : (
          <>
            Already have an account?{" "}
            <Link to="/login" search={{ next: "/invitation" }} className="link">
              Log in to accept
            </Link>
          </>
        )
      }
    >
      <p className="mb-4 text-soft">
        {invited_by ?? "Someone"} invited <strong className="text-ink">{email}</strong> to join as {role}.
      </p>
      {session ? (
        <div className="grid gap-4">
          {accept.error && <ErrorNotice error={accept.error} />}
          <Button look="primary" className="justify-center" onClick={() => accept.mutate()}>
            {accept.isPending ? "Joining…" : `Join as ${session.user.email}`}
          </Button>
        </div>
      ) : (
        <>
          <form onSubmit={submit} className="grid gap-4">
            {general && <ErrorNotice error={register.error} />}
            <TextField label="Your name" name="name" autoComplete="name" required error={messages.name} />
            <TextField
              label="Password"
              name="password"
              type="password"
              autoComplete="new-password"
              required
              minLength={8}
              hint="At least 8 characters. Longer is better: use a few words."
              error={messages.password}
            />
            <Button type="submit" look="primary" className="justify-center">
              {register.isPending ? "Creating…" : "Create account and join"}
            </Button>
          </form>
          <Providers invitation={token} inviting={single_sign_on} />
        </>
      )}
    </SignInLayout>
  );
}
