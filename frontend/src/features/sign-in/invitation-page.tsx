import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { currentSession, plainFetch, resumeSession } from "@/api/session";
import type { Session } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { useEnterOrganization } from "@/session/use-enter-organization";
import { useSession } from "@/session/use-session";
import { BrokenLinkPage, isLinkRefused } from "./broken-link";
import { useLinkSecret } from "./link-secret";
import { SignInLayout } from "./sign-in-layout";
import { Providers } from "./providers";

const STORAGE_KEY = "drover.invitation"; // key of the secret, which is stored in this tab while the user logs in

/** Returns the secret after `#` in the URL and stores it. Otherwise returns the stored secret. */
function useInvitationSecret(): string {
  const hash = useLinkSecret();
  const [stored] = useState(() => sessionStorage.getItem(STORAGE_KEY) ?? "");
  useEffect(() => {
    if (hash) sessionStorage.setItem(STORAGE_KEY, hash);
  }, [hash]);
  return hash || stored;
}

/** The page of a link of an invitation. For another link it begins again. */
export function InvitationPage() {
  const token = useInvitationSecret();
  return <OpenInvitation key={token} token={token} />;
}

function OpenInvitation({ token }: { token: string }) {
  const enterOrganization = useEnterOrganization();
  const session = useSession();
  useEffect(() => {
    if (currentSession().status === "unknown") void resumeSession();
  }, []);
  const invitation = useQuery({
    queryKey: queryKeys.openInvitation(token),
    queryFn: () => unwrap(api.POST("/api/v1/invitations/show", { body: { token }, fetch: plainFetch })),
    retry: false,
    enabled: token !== "",
  });

  const enterWithSession = (session: Session) => {
    sessionStorage.removeItem(STORAGE_KEY);
    enterOrganization(session);
  };

  const accept = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/invitations/accept", { body: { token } })),
    onSuccess: enterWithSession,
  });
  const register = useMutation({
    mutationFn: (body: { name: string; email: string; password: string; invitation: string }) =>
      unwrap(api.POST("/api/v1/auth/register", { body, fetch: plainFetch })),
    onSuccess: enterWithSession,
  });

  if (!token || isLinkRefused(invitation.error ?? accept.error ?? register.error)) {
    return (
      <BrokenLinkPage title="This invitation can't be opened">
        <p className="text-soft">
          Open the whole link in the newest e-mail. If it does not work either, ask the person who invited you
          to send the invitation again. If you have accepted it before, log in.
        </p>
      </BrokenLinkPage>
    );
  }
  if (!invitation.data) {
    return (
      <SignInLayout title="Invitation" footer={null}>
        {invitation.error ? <ErrorNotice error={invitation.error} /> : <Skeletons rows={3} />}
      </SignInLayout>
    );
  }
  const { organization, email, role, invited_by, single_sign_on } = invitation.data;
  const messages = fieldMessages(register.error);
  const hasGeneralError = register.error && Object.keys(messages).length === 0;

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
            {hasGeneralError && <ErrorNotice error={register.error} />}
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
          <Providers invitation={token} ssoOrganization={single_sign_on} />
        </>
      )}
    </SignInLayout>
  );
}
