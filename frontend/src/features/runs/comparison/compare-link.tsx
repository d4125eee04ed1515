import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Run } from "@/api/types";
import { buttonClasses } from "@/components/button";
import { lastSuccessQuery } from "./queries";

/** Leads to the comparison of an ended run with the last successful run before it. */
export function CompareLink({ run }: { run: Run }) {
  const { data: success } = useQuery(lastSuccessQuery(run));
  if (!success) return null;
  return (
    <Link
      to="/runs/$runId/compare/$otherId"
      params={{ runId: run.id, otherId: success.id }}
      className={buttonClasses("plain")}
    >
      <span>
        Compare<span className="max-sm:sr-only"> with the last success</span>
      </span>
    </Link>
  );
}
