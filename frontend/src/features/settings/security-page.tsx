import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { answer, api } from "@/api/client";
import { fieldMessages, ProblemError } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { refresh } from "@/api/session";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { ShownOnce } from "@/components/shown-once";
import { showError, showSuccess } from "@/components/toast";
import { When } from "@/components/when";
import { wasCancelled, makePasskey, passkeysWork } from "@/session/passkey";
import { useSession } from "@/session/use-session";
import { plural } from "@/format/number";
import { Loaded, Section } from "./parts";

export function SecurityPage() {
  const user = useSession()?.user;
  if (!user) return null;
  if (user.limited) {
    return (
      <Section
        title="Two-factor authentication and sessions"
        about="You logged in through this organization's identity provider, which manages them."
      >
        <p>{user.email}</p>
      </Section>
    );
  }
  return (
    <>
      <Factors hasPassword={user.has_password ?? false} shown={user.second_factor} />
      <Sessions />
    </>
  );
}

function Factors({ hasPassword, shown }: { hasPassword: boolean; shown: boolean }) {
  const client = useQueryClient();
  const [password, setPassword] = useState("");
  const [codes, setCodes] = useState<string[]>([]);
  const [setUp, setSetUp] = useState<{ challenge: string; secret: string; qr_svg: string } | null>(null);
  const factors = useQuery({
    queryKey: queryKeys.factors,
    queryFn: () => answer(api.GET("/api/v1/auth/factors")),
  });
  const body = { current_password: password };

  async function changed(answered?: { recovery_codes: string[] }) {
    setSetUp(null);
    if (answered?.recovery_codes.length) setCodes(answered.recovery_codes);
    await client.invalidateQueries({ queryKey: queryKeys.factors });
    await client.invalidateQueries({ queryKey: queryKeys.sessions });
    await refresh();
  }

  const beginApp = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/auth/factors/totp", { body })),
    onSuccess: setSetUp,
  });
  const confirmApp = useMutation({
    mutationFn: (code: string) =>
      answer(api.POST("/api/v1/auth/factors/totp/confirm", { body: { challenge: setUp!.challenge, code } })),
    onSuccess: changed,
  });
  const removeApp = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/auth/factors/totp/remove", { body })),
    onSuccess: () => changed(),
  });
  const renew = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/auth/factors/recovery-codes", { body })),
    onSuccess: changed,
  });
  const addPasskey = useMutation({
    mutationFn: async () => {
      const begun = await answer(api.POST("/api/v1/auth/factors/passkeys", { body }));
      const made = await makePasskey(begun);
      const name = nameOfDevice(navigator.userAgent);
      return answer(api.POST("/api/v1/auth/factors/passkeys/confirm", { body: { ...made, name } }));
    },
    onSuccess: changed,
  });
  const removePasskey = useMutation({
    mutationFn: (id: string) =>
      answer(api.POST("/api/v1/auth/factors/passkeys/{id}/remove", { params: { path: { id } }, body })),
    onSuccess: () => changed(),
  });
  const show = useMutation({
    mutationFn: (code: string) => answer(api.POST("/api/v1/auth/factors/show", { body: { code } })),
    onSuccess: () => changed(),
  });
  const error = [beginApp, removeApp, renew, addPasskey, removePasskey]
    .map((mutation) => mutation.error)
    .find((each) => each && !wasCancelled(each));
  const wrongPassword = fieldMessages(error).current_password;
  const needsFactor = error instanceof ProblemError && error.code === "second_factor_needed";

  return (
    <Section
      title="Two-factor authentication"
      about="Requires a code as well as your password. Changing these settings requires your password and ends your other sessions."
    >
      {codes.length > 0 && (
        <ShownOnce label="Save these recovery codes. Each works once, and they are shown only now.">
          {codes.join("\n")}
        </ShownOnce>
      )}
      {error && !wrongPassword && !needsFactor && <ErrorNotice error={error} />}
      {needsFactor && (
        <CodeLine
          label="Enter a code from your authenticator app, or a recovery code"
          error={show.error}
          button="Verify"
          onCode={(code) => show.mutate(code, { onSuccess: () => showSuccess("Verified. Try again.") })}
        />
      )}
      <Loaded query={factors}>
        {(mine) => (
          <div className="grid gap-5">
            {hasPassword && (
              <div className="max-w-md">
                <TextField
                  label="Current password"
                  type="password"
                  autoComplete="current-password"
                  value={password}
                  onChange={({ target }) => setPassword(target.value)}
                  error={wrongPassword}
                  hint="Required for each change below."
                />
              </div>
            )}
            <Line
              title="Authenticator app"
              state={
                mine.totp_since ? (
                  <>
                    set up <When at={mine.totp_since} />
                  </>
                ) : (
                  "not set up"
                )
              }
            >
              <Button onClick={() => beginApp.mutate()}>{mine.totp_since ? "Replace" : "Set up"}</Button>
              {mine.totp_since && (
                <Button look="danger" onClick={() => removeApp.mutate()}>
                  Remove
                </Button>
              )}
            </Line>
            {setUp && (
              <div className="grid max-w-md gap-3 rounded-card border border-line p-4">
                <p>
                  Scan this QR code with your authenticator app, or enter the secret in it. Then enter the
                  code that the app shows.
                </p>
                <img
                  alt="QR code of the secret"
                  width="180"
                  height="180"
                  className="rounded-control bg-white p-2"
                  src={`data:image/svg+xml;utf8,${encodeURIComponent(setUp.qr_svg)}`}
                />
                <code className="break-all select-all">{setUp.secret}</code>
                <CodeLine
                  label="Code"
                  error={confirmApp.error}
                  button="Confirm"
                  onCode={(code) => confirmApp.mutate(code)}
                />
              </div>
            )}
            <Line
              title="Passkeys"
              state={mine.passkeys.length ? plural(mine.passkeys.length, "passkey") : "none"}
            >
              {passkeysWork() && (
                <Button onClick={() => addPasskey.mutate()}>
                  {addPasskey.isPending ? "Waiting for the browser…" : "Add a passkey"}
                </Button>
              )}
            </Line>
            {mine.passkeys.length > 0 && (
              <ul className="grid gap-2">
                {mine.passkeys.map((passkey) => (
                  <li key={passkey.id} className="flex flex-wrap items-center gap-3">
                    <span className="flex-1">
                      {passkey.name}{" "}
                      <span className="text-faint">
                        added <When at={passkey.created_at} />, last used{" "}
                        <When at={passkey.last_used_at} none="never" />
                      </span>
                    </span>
                    <Button size="small" look="danger" onClick={() => removePasskey.mutate(passkey.id)}>
                      Remove<span className="sr-only"> {passkey.name}</span>
                    </Button>
                  </li>
                ))}
              </ul>
            )}
            {(mine.totp_since || mine.passkeys.length > 0) && (
              <Line title="Recovery codes" state={`${mine.recovery_codes} left`}>
                <Button onClick={() => renew.mutate()}>Create new codes</Button>
              </Line>
            )}
            {(mine.totp_since || mine.passkeys.length > 0) && !shown && !needsFactor && (
              <p className="text-soft">You logged in to this session without a second factor.</p>
            )}
          </div>
        )}
      </Loaded>
    </Section>
  );
}

function Line({
  title,
  state,
  children,
}: {
  title: string;
  state: React.ReactNode;
  children: React.ReactNode;
}) {
  return (
    <div className="flex flex-wrap items-center gap-2">
      <p className="min-w-56 flex-1">
        <span className="font-medium">{title}</span> <span className="text-faint">{state}</span>
      </p>
      {children}
    </div>
  );
}

function CodeLine({
  label,
  error,
  button,
  onCode,
}: {
  label: string;
  error: unknown;
  button: string;
  onCode: (code: string) => void;
}) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    onCode(String(new FormData(event.currentTarget).get("code")).trim());
  }
  return (
    <form onSubmit={submit} className="mb-3 max-w-xs">
      <TextField
        label={label}
        name="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        required
        error={error instanceof ProblemError ? error.message : null}
        action={<Button type="submit">{button}</Button>}
      />
    </form>
  );
}

function Sessions() {
  const client = useQueryClient();
  const again = () => client.invalidateQueries({ queryKey: queryKeys.sessions });
  const sessions = useQuery({
    queryKey: queryKeys.sessions,
    queryFn: () => answer(api.GET("/api/v1/auth/sessions", { params: { query: { limit: 200 } } })),
  });
  const end = useMutation({
    mutationFn: (id: string) =>
      answer(api.DELETE("/api/v1/auth/sessions/{id}", { params: { path: { id } } })),
    onSuccess: again,
    onError: (error) => showError(error),
  });
  const endOthers = useMutation({
    mutationFn: () => answer(api.DELETE("/api/v1/auth/sessions")),
    onSuccess: again,
    onError: (error) => showError(error),
  });
  return (
    <Section
      title="Sessions"
      about="Where you are logged in. Ending a session logs that device out immediately."
      action={<Button onClick={() => endOthers.mutate()}>Log out everywhere else</Button>}
    >
      <Loaded query={sessions}>
        {({ results }) => (
          <ul className="grid gap-3">
            {results.map((session) => (
              <li key={session.id} className="flex flex-wrap items-center gap-3">
                <div className="flex-1">
                  <p>
                    {nameOfDevice(session.user_agent)}{" "}
                    {session.current && <span className="text-good">this device</span>}
                  </p>
                  <p className="text-[0.8125rem] text-faint">
                    {session.ip ?? "unknown address"}, last used <When at={session.last_used_at} />, logged in
                    with {session.method}
                    {session.second_factor && " and a second factor"}
                  </p>
                </div>
                {!session.current && (
                  <Button size="small" onClick={() => end.mutate(session.id)}>
                    End<span className="sr-only"> {nameOfDevice(session.user_agent)}</span>
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Section>
  );
}

const BROWSERS: [RegExp, string][] = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrome\//, "Chrome"],
  [/Safari\//, "Safari"],
  [/curl\//, "curl"],
  [/python/i, "Python"],
];
const SYSTEMS: [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

/** "Firefox on Linux": enough to recognise one's own device. */
function nameOfDevice(agent: string): string {
  const find = (list: [RegExp, string][]) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? system ?? (agent.slice(0, 60) || "Unknown device");
}
