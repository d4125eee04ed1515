import { useMutation } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { useEffect, type FormEvent } from "react";
import { answer, api } from "@/api/client";
import { end, refresh, rememberOrganization } from "@/api/session";
import type { Session } from "@/api/types";
import { Button, buttonLook } from "@/components/button";
import { classNames } from "@/components/class-names";
import { TextField } from "@/components/field";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { isOwnPath } from "@/session/own-path";
import { useEntering } from "@/session/use-entering";
import { useSession } from "@/session/use-session";
import { SignInLayout } from "./sign-in-layout";
import { takeHash } from "./link-secret";
import { CodeForm } from "./login-page";

/** The page that an identity provider leads back to. The cookie is set; the token must still be fetched. */
export function WelcomePage() {
  const router = useRouter();
  useEffect(() => {
    const found = takeHash();
    const given = found.get("next");
    const next = isOwnPath(given) ? given : "/";
    if (found.get("org")) rememberOrganization(found.get("org"));
    void refresh().then((known) => router.history.replace(known ? next : "/login"));
  }, [router]);
  return (
    <SignInLayout title="Welcome" footer={null}>
      <Skeletons rows={3} />
    </SignInLayout>
  );
}

/** For someone who is in no organization, or whom the rules of their organization keep out. */
export function ThresholdPage() {
  const session = useSession();
  if (!session) return null;
  if (!session.organization) return <NoOrganization session={session} />;
  return <ClosedOrganization session={session} organization={session.organization} />;
}

const logout = (
  <button
    type="button"
    className="link"
    onClick={() =>
      void answer(
        api.POST("/api/v1/auth/logout", { params: { header: { "X-Requested-With": "drover" } } }),
      ).then(end)
    }
  >
    Log out
  </button>
);

function NoOrganization({ session }: { session: Session }) {
  const enter = useEntering();
  const create = useMutation({
    mutationFn: (name: string) => answer(api.POST("/api/v1/organizations", { body: { name } })),
    onSuccess: enter,
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    create.mutate(String(new FormData(event.currentTarget).get("name")).trim());
  }

  return (
    <SignInLayout title="Create an organization" footer={logout}>
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

const REASONS = {
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
  const enter = useEntering();
  const router = useRouter();
  const others = session.organizations.filter(({ id }) => id !== organization.id);
  const change = useMutation({
    mutationFn: (org: string) => answer(api.POST("/api/v1/auth/switch", { body: { org } })),
    onSuccess: enter,
  });
  const show = useMutation({
    mutationFn: (code: string) => answer(api.POST("/api/v1/auth/factors/show", { body: { code } })),
    onSuccess: async () => {
      await refresh();
      void router.navigate({ to: "/pipelines" });
    },
  });
  const reason = organization.closed;
  return (
    <SignInLayout title={organization.name} footer={logout}>
      <div className="grid gap-4">
        <p>
          {organization.name} {reason && REASONS[reason]}
        </p>
        {reason === "sso_required" && (
          <a
            href={`/api/v1/auth/sso/start?org=${encodeURIComponent(organization.slug)}`}
            className={classNames(buttonLook("primary"), "justify-center")}
          >
            Log in with single sign-on
          </a>
        )}
        {reason === "second_factor_required" && (
          <>
            <CodeForm error={show.error} pending={show.isPending} onCode={(code) => show.mutate(code)} />
            <Link to="/settings/security" className={classNames(buttonLook(), "justify-center")}>
              Set up two-factor authentication
            </Link>
          </>
        )}
        {others.map(({ id, name }) => (
          <Button key={id} className="justify-center" onClick={() => change.mutate(id)}>
            Switch to {name}
          </Button>
        ))}
      </div>
    </SignInLayout>
  );
}
