import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages, ProblemError } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { components } from "@/api/schema";
import { refreshSession } from "@/api/session";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { ConfirmDialog } from "@/components/dialog";
import { OneTimeSecret } from "@/components/one-time-secret";
import { showError, showSuccess } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { wasCancelled, createPasskey, supportsPasskeys } from "@/session/passkey";
import { useSession } from "@/session/use-session";
import { countWithNoun } from "@/format/number";
import { QueryContent, Section } from "@/components/section";

export function SecurityPage() {
  const user = useSession()?.user;
  if (!user) return null;
  if (user.limited) {
    return (
      <Section
        title="Two-factor authentication and sessions"
        description="You logged in through this organization's identity provider. It manages your second factors and your sessions."
      >
        <p>{user.email}</p>
      </Section>
    );
  }
  return (
    <>
      <SecondFactorsSection hasPassword={user.has_password ?? false} isVerified={user.second_factor} />
      <SessionsSection />
    </>
  );
}

function SecondFactorsSection({ hasPassword, isVerified }: { hasPassword: boolean; isVerified: boolean }) {
  const client = useQueryClient();
  const [password, setPassword] = useState("");
  const [recoveryCodes, setRecoveryCodes] = useState<string[]>([]);
  const [newApp, setNewApp] = useState<{ challenge: string; secret: string; qr_svg: string } | null>(null);
  const factorsQuery = useQuery({
    queryKey: queryKeys.factors,
    queryFn: () => unwrap(api.GET("/api/v1/auth/factors")),
  });
  const body = { current_password: password };

  async function reloadFactors(response?: { recovery_codes: string[] }) {
    setNewApp(null);
    if (response?.recovery_codes.length) setRecoveryCodes(response.recovery_codes);
    await client.invalidateQueries({ queryKey: queryKeys.factors });
    await client.invalidateQueries({ queryKey: queryKeys.sessions });
    await refreshSession();
  }

  const startAppSetup = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/factors/totp", { body })),
    onSuccess: setNewApp,
  });
  const confirmAppSetup = useMutation({
    mutationFn: (code: string) =>
      unwrap(api.POST("/api/v1/auth/factors/totp/confirm", { body: { challenge: newApp!.challenge, code } })),
    onSuccess: reloadFactors,
  });
  const removeApp = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/factors/totp/remove", { body })),
    onSuccess: () => reloadFactors(),
  });
  const createRecoveryCodes = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/factors/recovery-codes", { body })),
    onSuccess: reloadFactors,
  });
  const addPasskey = useMutation({
    mutationFn: async () => {
      const challenge = await unwrap(api.POST("/api/v1/auth/factors/passkeys", { body }));
      const created = await createPasskey(challenge);
      const name = deviceName(navigator.userAgent);
      return unwrap(api.POST("/api/v1/auth/factors/passkeys/confirm", { body: { ...created, name } }));
    },
    onSuccess: reloadFactors,
  });
  const removePasskey = useMutation({
    mutationFn: (id: string) =>
      unwrap(api.POST("/api/v1/auth/factors/passkeys/{id}/remove", { params: { path: { id } }, body })),
    onSuccess: () => reloadFactors(),
  });
  const verifyCode = useMutation({
    mutationFn: (code: string) => unwrap(api.POST("/api/v1/auth/factors/show", { body: { code } })),
    onSuccess: () => reloadFactors(),
  });
  const error = [startAppSetup, removeApp, createRecoveryCodes, addPasskey, removePasskey]
    .map((mutation) => mutation.error)
    .find((failure) => failure && !wasCancelled(failure));
  const passwordMessage = fieldMessages(error).current_password;
  const needsSecondFactor = error instanceof ProblemError && error.code === "second_factor_needed";

  return (
    <Section
      title="Two-factor authentication"
      description="With two-factor authentication, a log-in requires a code as well as your password. Changing these settings requires your password and ends your other sessions."
    >
      {recoveryCodes.length > 0 && (
        <OneTimeSecret label="Save these recovery codes. Each works once, and they are shown only now.">
          {recoveryCodes.join("\n")}
        </OneTimeSecret>
      )}
      {error && !passwordMessage && !needsSecondFactor && <ErrorNotice error={error} />}
      {needsSecondFactor && (
        <CodeInput
          label="Enter a code from your authenticator app, or a recovery code"
          error={verifyCode.error}
          buttonLabel="Verify"
          onSubmit={(code) =>
            verifyCode.mutate(code, { onSuccess: () => showSuccess("Verified. Try again.") })
          }
        />
      )}
      <QueryContent query={factorsQuery}>
        {(factors) => (
          <div className="grid gap-5">
            {hasPassword && (
              <div className="max-w-md">
                <TextField
                  label="Current password"
                  type="password"
                  autoComplete="current-password"
                  value={password}
                  onChange={({ target }) => setPassword(target.value)}
                  error={passwordMessage}
                  hint="Required for each change below."
                />
              </div>
            )}
            <FactorRow
              title="Authenticator app"
              state={
                factors.totp_since ? (
                  <>
                    set up <RelativeTime time={factors.totp_since} />
                  </>
                ) : (
                  "not set up"
                )
              }
            >
              <Button onClick={() => startAppSetup.mutate()}>
                {factors.totp_since ? "Replace" : "Set up"}
              </Button>
              {factors.totp_since && (
                <Button look="danger" onClick={() => removeApp.mutate()}>
                  Remove
                </Button>
              )}
            </FactorRow>
            {newApp && (
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
                  src={`data:image/svg+xml;utf8,${encodeURIComponent(newApp.qr_svg)}`}
                />
                <code className="break-all select-all">{newApp.secret}</code>
                <CodeInput
                  label="Code"
                  error={confirmAppSetup.error}
                  buttonLabel="Confirm"
                  onSubmit={(code) => confirmAppSetup.mutate(code)}
                />
              </div>
            )}
            <FactorRow
              title="Passkeys"
              state={factors.passkeys.length ? countWithNoun(factors.passkeys.length, "passkey") : "none"}
            >
              {supportsPasskeys() && (
                <Button onClick={() => addPasskey.mutate()}>
                  {addPasskey.isPending ? "Waiting for the browser…" : "Add a passkey"}
                </Button>
              )}
            </FactorRow>
            {factors.passkeys.length > 0 && (
              <ul className="grid gap-2">
                {factors.passkeys.map((passkey) => (
                  <li key={passkey.id} className="flex flex-wrap items-center gap-3">
                    <span className="flex-1">
                      {passkey.name}{" "}
                      <span className="text-faint">
                        added <RelativeTime time={passkey.created_at} />, last used{" "}
                        <RelativeTime time={passkey.last_used_at} fallback="never" />
                      </span>
                    </span>
                    <Button size="small" look="danger" onClick={() => removePasskey.mutate(passkey.id)}>
                      Remove<span className="sr-only"> {passkey.name}</span>
                    </Button>
                  </li>
                ))}
              </ul>
            )}
            {(factors.totp_since || factors.passkeys.length > 0) && (
              <FactorRow title="Recovery codes" state={`${factors.recovery_codes} left`}>
                <Button onClick={() => createRecoveryCodes.mutate()}>Create new codes</Button>
              </FactorRow>
            )}
            {(factors.totp_since || factors.passkeys.length > 0) && !isVerified && !needsSecondFactor && (
              <p className="text-soft">You logged in to this session without a second factor.</p>
            )}
          </div>
        )}
      </QueryContent>
    </Section>
  );
}

function FactorRow({
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

function CodeInput({
  label,
  error,
  buttonLabel,
  onSubmit,
}: {
  label: string;
  error: unknown;
  buttonLabel: string;
  onSubmit: (code: string) => void;
}) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    onSubmit(String(new FormData(event.currentTarget).get("code")).trim());
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
        action={<Button type="submit">{buttonLabel}</Button>}
      />
    </form>
  );
}

type SessionRow = Pick<components["schemas"]["SessionRow"], "id" | "user_agent">;

function SessionsSection() {
  const client = useQueryClient();
  const invalidate = () => client.invalidateQueries({ queryKey: queryKeys.sessions });
  const sessions = useQuery({
    queryKey: queryKeys.sessions,
    queryFn: () => unwrap(api.GET("/api/v1/auth/sessions", { params: { query: { limit: 200 } } })),
  });
  const endSession = useMutation({
    mutationFn: (id: string) =>
      unwrap(api.DELETE("/api/v1/auth/sessions/{id}", { params: { path: { id } } })),
    onSuccess: invalidate,
    onError: (error) => showError(error),
  });
  const endOtherSessions = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/auth/sessions")),
    onSuccess: invalidate,
    onError: (error) => showError(error),
  });
  const [ending, setEnding] = useState<SessionRow | "others" | null>(null);
  const endingDevice = ending && ending !== "others" ? deviceName(ending.user_agent) : null;
  return (
    <Section
      title="Sessions"
      description="The devices on which you are logged in. Ending a session logs that device out immediately."
      action={<Button onClick={() => setEnding("others")}>Log out everywhere else</Button>}
    >
      <ConfirmDialog
        open={ending !== null}
        title={endingDevice ? `End the session of ${endingDevice}?` : "Log out everywhere else?"}
        confirmLabel={endingDevice ? "End session" : "Log out everywhere else"}
        danger
        onClose={() => setEnding(null)}
        onConfirm={() => {
          if (ending === "others") endOtherSessions.mutate();
          else if (ending) endSession.mutate(ending.id);
          setEnding(null);
        }}
      >
        {endingDevice ? "That device" : "Every other device"} must log in again, and loses what was not saved
        there.
      </ConfirmDialog>
      <QueryContent query={sessions}>
        {({ results }) => (
          <ul className="grid gap-3">
            {results.map((session) => (
              <li key={session.id} className="flex flex-wrap items-center gap-3">
                <div className="flex-1">
                  <p>
                    {deviceName(session.user_agent)}{" "}
                    {session.current && <span className="text-good">this device</span>}
                  </p>
                  <p className="text-[0.8125rem] text-faint">
                    {session.ip ?? "unknown address"}, last used <RelativeTime time={session.last_used_at} />,
                    logged in with {session.method}
                    {session.second_factor && " and a second factor"}
                  </p>
                </div>
                {!session.current && (
                  <Button size="small" onClick={() => setEnding(session)}>
                    End<span className="sr-only"> {deviceName(session.user_agent)}</span>
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </QueryContent>
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

/** Returns a name by which users recognise their device, such as "Firefox on Linux". */
function deviceName(agent: string): string {
  const find = (list: [RegExp, string][]) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? system ?? (agent.slice(0, 60) || "Unknown device");
}
