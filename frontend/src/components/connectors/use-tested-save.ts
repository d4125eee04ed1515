import { useRef, useState } from "react";
import { ProblemError } from "@/api/problem";

/** A save that waits for the test of its settings, or that the user may make although the test failed. */
type Waiting = { state: "testing" | "failed"; saveAnyway: () => void };

/**
 * Saves settings after they have passed a test. While the test runs, and after it has failed, the user may save them without
 * it: `waiting` is then not null. Call `cancel` when the settings change.
 */
export function useTestedSave() {
  const [waiting, setWaiting] = useState<Waiting | null>(null);
  const last = useRef(0); // the number of the newest attempt; older ones save nothing any more

  function cancel() {
    last.current += 1;
    setWaiting(null);
  }
  async function save(test: () => Promise<{ ok: boolean }>, action: (isTested: boolean) => void) {
    last.current += 1;
    const attempt = last.current;
    const saveAnyway = () => {
      cancel();
      action(false);
    };
    setWaiting({ state: "testing", saveAnyway });
    const result = await test().then(({ ok }) => (ok ? "passed" : "failed"), failureOf);
    if (attempt !== last.current) return;
    setWaiting(result === "failed" ? { state: "failed", saveAnyway } : null);
    if (result === "passed") action(true);
  }
  return { waiting, save, cancel };
}

/** Settings that the server refuses cannot be saved either. */
function failureOf(error: unknown): "refused" | "failed" {
  return error instanceof ProblemError && error.status === 422 ? "refused" : "failed";
}
