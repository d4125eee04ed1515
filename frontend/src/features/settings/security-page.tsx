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
import { complain, say } from "@/components/toast";
import { When } from "@/components/when";
import { gaveUp, makePasskey, passkeysWork } from "@/session/passkey";
import { useSession } from "@/session/use-session";
import { plural } from "@/format/number";
import { Loaded, Section } from "./parts";

export function SecurityPage() {
  const user = useSession()?.user;
  if (!user) return null;
  if (user.limited) {
    return (
      <Section
        title="Second factors and sessions"
        about="You logged in through this organization's identity provider, which looks after them."
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
    .find((each) => each && !gaveUp(each));
  const wrongPassword = fieldMessages(error).current_password;
  const needsFactor = error instanceof ProblemError && error.code === "second_factor_needed";

  return (
    <Section
      title="Second factors"
      about="With one, your password alone opens nothing. Changing them takes your password, and ends your other sessions."
    >
      {codes.length > 0 && (
        <ShownOnce label="Keep these recovery codes: each lets you in once, and they are shown this once.">
          {codes.join("\n")}
        </ShownOnce>
      )}
      {error && !wrongPassword && !needsFactor && <ErrorNotice error={error} />}
      {needsFactor && (
        <CodeLine
          label="First show a factor you have"
          error={show.error}
          button="Show it"
          onCode={(code) =>
            show.mutate(code, { onSuccess: () => say("Shown. Repeat what you wanted to do.") })
          }
        />
      )}
      <Loaded query={factors}>
        {(mine) => (
          <div className="grid gap-5">
            {hasPassword && (
              <div className="max-w-md">
                <TextField
                  label="Your password"
                  type="password"
                  autoComplete="current-password"
                  value={password}
                  onChange={({ target }) => setPassword(target.value)}
                  error={wrongPassword}
                  hint="For each change below."
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
                <p>Scan this with the app, or type the secret into it. Then type the code it shows.</p>
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
                <Button onClick={() => renew.mutate()}>Make new ones</Button>
              </Line>
            )}
            {(mine.totp_since || mine.passkeys.length > 0) && !shown && !needsFactor && (
              <p className="text-soft">This session has not shown a second factor.</p>
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
    onError: (error) => complain(error),
  });
  const endOthers = useMutation({
    mutationFn: () => answer(api.DELETE("/api/v1/auth/sessions")),
    onSuccess: again,
    onError: (error) => complain(error),
  });
  return (
    <Section
      title="Sessions"
      about="Where you are logged in. A session that is ended stops working at once."
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
                    {session.current && <span className="text-good">this one</span>}
                  </p>
                  <p className="text-[0.8125rem] text-faint">
                    {session.ip ?? "unknown address"}, used <When at={session.last_used_at} />, by{" "}
                    {session.method}
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
