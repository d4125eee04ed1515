import { useMutation, useQueryClient } from "@tanstack/react-query";
import {
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type FormEvent,
} from "react";
import { api, unwrap } from "@/api/client";
import { ProblemError } from "@/api/problem";
import {
  currentSession,
  endSession,
  onSessionChange,
  plainFetch,
  refreshSession,
  startSession,
} from "@/api/session";
import type { Session } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { CodeForm, LoginError, withoutCodeRequest } from "./login-page";

/** Asks the user to log in again in front of the page whose session has ended. The page keeps what was typed. */
export function LoginAgain() {
  const state = useSyncExternalStore(onSessionChange, currentSession);
  const client = useQueryClient();
  const wasExpired = useRef(false);
  useEffect(() => {
    if (wasExpired.current && state.status === "logged-in") void client.invalidateQueries();
    wasExpired.current = state.status === "expired";
  }, [state, client]);
  return state.status === "expired" ? <LoginAgainDialog session={state.session} /> : null;
}

function LoginAgainDialog({ session }: { session: Session }) {
  const { email, has_password: hasPassword } = session.user;
  const org = session.organization?.id;
  const titleId = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const [password, setPassword] = useState<string | null>(null); // set when the server requests a code
  const login = useMutation({
    mutationFn: (proof: { password: string; mfa_code?: string }) =>
      unwrap(api.POST("/api/v1/auth/login", { body: { email, org, ...proof }, fetch: plainFetch })),
    onSuccess: startSession,
    onError: (error, proof) => {
      if (error instanceof ProblemError && error.code === "second_factor_needed") setPassword(proof.password);
    },
  });
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close(); // the browser then returns the focus to the field that had it
  }, []);
  useLoginInAnotherTab();

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (!login.isPending)
      login.mutate({ password: String(new FormData(event.currentTarget).get("password")) });
  }
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onCancel={(event) => event.preventDefault()} // Escape would leave a page on which nothing can be saved
      className="m-auto w-[min(26rem,calc(100vw-2rem))] rounded-card border border-line bg-raised p-5 text-ink shadow-float backdrop:bg-black/40"
    >
      <h2 id={titleId} className="text-base font-semibold">
        Log in again
      </h2>
      <p className="mt-2 mb-4 wrap-anywhere text-soft">
        Your session has ended. Log in as <strong className="font-medium text-ink">{email}</strong> to go on.
        This page keeps what you have typed.
      </p>
      {password !== null ? (
        <CodeForm
          error={withoutCodeRequest(login.error)}
          pending={login.isPending}
          onSubmit={(code) => login.mutate({ password, mfa_code: code })}
        />
      ) : (
        hasPassword && (
          <form onSubmit={submit} className="grid gap-4">
            {login.error && <LoginError error={login.error} />}
            <input type="email" autoComplete="username" value={email} readOnly hidden />
            <TextField
              label="Password"
              name="password"
              type="password"
              autoComplete="current-password"
              required
              autoFocus
            />
            <Button
              type="submit"
              look="primary"
              className="justify-center"
              disabledReason={login.isPending ? "Logging in" : null}
            >
              {login.isPending ? "Logging in…" : "Log in"}
            </Button>
          </form>
        )
      )}
      <p className="mt-4 text-[0.8125rem] text-soft">
        {hasPassword ? "With a passkey or an identity provider: " : ""}
        <a href="/login" target="_blank" rel="noreferrer" className="link">
          log in in a new tab
        </a>
        , then come back to this one. Or{" "}
        <button type="button" className="link" onClick={endSession}>
          log out
        </button>{" "}
        and lose what is not saved.
      </p>
    </dialog>
  );
}

/** All tabs share the session. When the user comes back to this tab, it may have begun again in another one. */
function useLoginInAnotherTab(): void {
  useEffect(() => {
    const resume = () => void refreshSession().catch(() => undefined);
    addEventListener("focus", resume);
    return () => removeEventListener("focus", resume);
  }, []);
}
