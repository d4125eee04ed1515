import { useMutation } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { useEffect, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { describeError } from "@/api/problem";
import { endSession, refreshSession, rememberOrganization } from "@/api/session";
import type { Session } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { TextField } from "@/components/field";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { isSameSitePath } from "@/session/same-site-path";
import { useEnterOrganization } from "@/session/use-enter-organization";
import { useSession } from "@/session/use-session";
import { SignInLayout } from "./sign-in-layout";
import { useHashParameters } from "./link-secret";
import { CodeForm } from "./login-page";

/** The page after a log-in through an identity provider. The session cookie is already set. This page fetches the access token. */
export function WelcomePage() {
  const router = useRouter();
  const parameters = useHashParameters();
  const { mutate: resume, error } = useMutation({
    mutationFn: refreshSession,
    onSuccess: (isLoggedIn) => {
      const next = parameters.get("next");
      router.history.replace(!isLoggedIn ? "/login" : isSameSitePath(next) ? next : "/");
    },
  });
  useEffect(() => {
    if (parameters.get("org")) rememberOrganization(parameters.get("org"));
    resume();
  }, [parameters, resume]);
  return (
    <SignInLayout title="Welcome" footer={null}>
      {error ? <ErrorNotice error={error} retry={resume} /> : <Skeletons rows={3} />}
    </SignInLayout>
  );
}

/** The page for a user who has no organization, or who is excluded by the organization's access rules. */
export function NoAccessPage() {
  const session = useSession();
  if (!session) return null;
  if (!session.organization) return <NoOrganization session={session} />;
  return <ClosedOrganization session={session} organization={session.organization} />;
}

function LogoutButton() {
  const logout = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/v1/auth/logout", { params: { header: { "X-Requested-With": "drover" } } })),
    onSuccess: endSession,
  });
  return (
    <>
      <button type="button" className="link" onClick={() => logout.mutate()}>
        Log out
      </button>
      {logout.error && (
        <span role="alert" className="block text-bad">
          {describeError(logout.error).title} You are still logged in.
        </span>
      )}
    </>
  );
}

function NoOrganization({ session }: { session: Session }) {
  const enter = useEnterOrganization();
  const create = useMutation({
    mutationFn: (name: string) => unwrap(api.POST("/api/v1/organizations", { body: { name } })),
    onSuccess: enter,
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    create.mutate(String(new FormData(event.currentTarget).get("name")).trim());
  }

  return (
    <SignInLayout title="Create an organization" footer={<LogoutButton />}>
      <p className="mb-4 text-soft">
        {session.user.email} is not a member of any organization. Create one, or open the link in an
        invitation.
      </p>
      <form onSubmit={submit} className="grid gap-4">
        {create.error && <ErrorNotice error={create.error} />}
        <TextField label="Organization" name="name" required autoFocus maxLength={120} />
        <Button type="submit" look="primary" className="justify-center">
          {create.isPending ? "Creating…" : "Create organization"}
        </Button>
      </form>
    </SignInLayout>
  );
}

const REASON_TEXTS = {
  network_not_allowed: "allows access only from certain networks. Connect from one of them, or ask an admin.",
  sso_required: "requires single sign-on. Log in through its identity provider.",
  second_factor_required: "requires two-factor authentication. Enter a code, or set it up first.",
};

function ClosedOrganization({
  session,
  organization,
}: {
  session: Session;
  organization: NonNullable<Session["organization"]>;
}) {
  const enter = useEnterOrganization();
  const router = useRouter();
  const otherOrganizations = session.organizations.filter(({ id }) => id !== organization.id);
  const switchOrganization = useMutation({
    mutationFn: (org: string) => unwrap(api.POST("/api/v1/auth/switch", { body: { org } })),
    onSuccess: enter,
  });
  const verifyCode = useMutation({
    mutationFn: (code: string) => unwrap(api.POST("/api/v1/auth/factors/show", { body: { code } })),
    onSuccess: async () => {
      await refreshSession();
      void router.navigate({ to: "/" });
    },
  });
  const reason = organization.closed;
  return (
    <SignInLayout title={organization.name} footer={<LogoutButton />}>
      <div className="grid gap-4">
        <p className="wrap-anywhere">
          {organization.name} {reason && REASON_TEXTS[reason]}
        </p>
        {switchOrganization.error && <ErrorNotice error={switchOrganization.error} />}
        {reason === "sso_required" && (
          <a
            href={`/api/v1/auth/sso/start?org=${encodeURIComponent(organization.slug)}`}
            className={classNames(buttonClasses("primary"), "justify-center")}
          >
            Log in with single sign-on
          </a>
        )}
        {reason === "second_factor_required" && (
          <>
            <CodeForm
              error={verifyCode.error}
              pending={verifyCode.isPending}
              onSubmit={(code) => verifyCode.mutate(code)}
            />
            <Link to="/settings/security" className={classNames(buttonClasses(), "justify-center")}>
              Set up two-factor authentication
            </Link>
          </>
        )}
        {otherOrganizations.map(({ id, name }) => (
          <Button key={id} className="justify-center" onClick={() => switchOrganization.mutate(id)}>
            Switch to {name}
          </Button>
        ))}
      </div>
    </SignInLayout>
  );
}
