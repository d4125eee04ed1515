import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { providersQuery } from "@/api/providers";
import { buttonLook, Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { TextField } from "@/components/field";

function startAddress(provider: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return `/api/v1/auth/${provider}/start?${new URLSearchParams(given)}`;
}

/** Buttons for the installation's identity providers, and the way to an organization's own: to the one that invites,
 * or to any that is named. */
export function Providers({
  next,
  invitation,
  inviting,
}: {
  next?: string;
  invitation?: string;
  inviting?: string | null;
}) {
  const { data } = useQuery(providersQuery);
  const [asking, setAsking] = useState(false);
  const found = data?.providers ?? [];

  function toOrganization(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const org = String(new FormData(event.currentTarget).get("org")).trim();
    globalThis.location.assign(startAddress("sso", { org, next }));
  }

  if (invitation && found.length === 0 && !inviting) return null;
  return (
    <div className="mt-4 grid gap-2 border-t border-line pt-4">
      {found.map(({ id, name }) => (
        <a
          key={id}
          href={startAddress(id, { next, invitation })}
          className={classNames(buttonLook("plain"), "justify-center")}
        >
          Continue with {name}
        </a>
      ))}
      {inviting && (
        <a
          href={startAddress("sso", { org: inviting, invitation })}
          className={classNames(buttonLook("plain"), "justify-center")}
        >
          Join with single sign-on
        </a>
      )}
      {!invitation && !asking && (
        <Button look="quiet" className="justify-center" onClick={() => setAsking(true)}>
          Log in with single sign-on
        </Button>
      )}
      {asking && (
        <form onSubmit={toOrganization} className="grid gap-2">
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
