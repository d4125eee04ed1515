import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { providersQuery } from "@/api/providers";
import { buttonClasses, Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { TextField } from "@/components/field";

function startUrl(provider: string, query: Record<string, string | undefined>): string {
  const parameters = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return `/api/v1/auth/${provider}/start?${new URLSearchParams(parameters)}`;
}

/** Buttons for the identity providers of the installation and for single sign-on. In an invitation, single sign-on uses
 * the provider of the inviting organization. Otherwise the user enters the organization's short name. */
export function Providers({
  next,
  invitation,
  ssoOrganization,
}: {
  next?: string;
  invitation?: string;
  ssoOrganization?: string | null;
}) {
  const { data } = useQuery(providersQuery);
  const [isFormOpen, setIsFormOpen] = useState(false);
  const providers = data?.providers ?? [];

  function startSingleSignOn(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const org = String(new FormData(event.currentTarget).get("org")).trim();
    globalThis.location.assign(startUrl("sso", { org, next }));
  }

  if (invitation && providers.length === 0 && !ssoOrganization) return null;
  return (
    <div className="mt-4 grid gap-2 border-t border-line pt-4">
      {providers.map(({ id, name }) => (
        <a
          key={id}
          href={startUrl(id, { next, invitation })}
          className={classNames(buttonClasses("plain"), "justify-center")}
        >
          Continue with {name}
        </a>
      ))}
      {ssoOrganization && (
        <a
          href={startUrl("sso", { org: ssoOrganization, invitation })}
          className={classNames(buttonClasses("plain"), "justify-center")}
        >
          Join with single sign-on
        </a>
      )}
      {!invitation && !isFormOpen && (
        <Button look="quiet" className="justify-center" onClick={() => setIsFormOpen(true)}>
          Log in with single sign-on
        </Button>
      )}
      {isFormOpen && (
        <form onSubmit={startSingleSignOn} className="grid gap-2">
          <TextField
            label="Organization's short name"
            name="org"
            required
            autoFocus
            placeholder="analytics-3f9a1c"
            hint="Your admin can find it under Settings, Single sign-on."
          />
          <Button type="submit" className="justify-center">
            Continue
          </Button>
        </form>
      )}
    </div>
  );
}
