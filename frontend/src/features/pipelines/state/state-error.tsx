import { Link } from "@tanstack/react-router";
import { ProblemError } from "@/api/problem";
import { ErrorNotice } from "@/components/notice";

/** The server refuses a change while a run is in progress, and names the run. */
export function StateError({ error }: { error: unknown }) {
  const runId = error instanceof ProblemError && error.status === 409 ? error.body.run_id : null;
  return (
    <>
      <ErrorNotice error={error} />
      {typeof runId === "string" && (
        <Link to="/runs/$runId" params={{ runId }} className="link">
          View that run
        </Link>
      )}
    </>
  );
}
