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
import { Entrance } from "./entrance";
import { takeHash } from "./link-secret";
import { CodeForm } from "./login-page";

/** Where a log-in through an identity provider arrives: the cookie is there, the token is not yet. */
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
    <Entrance title="Welcome" footer={null}>
      <Skeletons rows={3} />
    </Entrance>
  );
}

/** For someone who belongs to no organization, or whom their organization's rules keep out. */
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
    <Entrance title="Create an organization" footer={logout}>
      <p className="mb-4 text-soft">
        {session.user.email} belongs to no organization. Make one, or open the link of an invitation.
      </p>
      <form onSubmit={submit} className="grid gap-4">
        {create.error && <ErrorNotice error={create.error} />}
        <TextField label="Organization" name="name" required autoFocus maxLength={120} />
        <Button type="submit" look="primary" className="justify-center">
          {create.isPending ? "Creating…" : "Create organization"}
        </Button>
      </form>
    </Entrance>
  );
}

const REASONS = {
  network_not_allowed: "does not accept requests from your address. Use its network, or ask an admin.",
  sso_required: "asks its members to log in through its own identity provider.",
  second_factor_required: "asks its members for a second factor.",
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
    <Entrance title={organization.name} footer={logout}>
      <div className="grid gap-4">
        <p>
          {organization.name} {reason && REASONS[reason]}
        </p>
        {reason === "sso_required" && (
          <a
            href={`/api/v1/auth/sso/start?org=${encodeURIComponent(organization.slug)}`}
            className={classNames(buttonLook("primary"), "justify-center")}
          >
            Go to its log-in
          </a>
        )}
        {reason === "second_factor_required" && (
          <>
            <CodeForm error={show.error} pending={show.isPending} onCode={(code) => show.mutate(code)} />
            <Link to="/settings/security" className={classNames(buttonLook(), "justify-center")}>
              Set a second factor up
            </Link>
          </>
        )}
        {others.map(({ id, name }) => (
          <Button key={id} className="justify-center" onClick={() => change.mutate(id)}>
            Go to {name}
          </Button>
        ))}
      </div>
    </Entrance>
  );
}
