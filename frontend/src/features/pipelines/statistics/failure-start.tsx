import { Link } from "@tanstack/react-router";
import type { PipelineStatistics } from "@/api/types";
import { WarningIcon } from "@/components/icons";
import { RelativeTime } from "@/components/relative-time";
import { formatDuration, secondsBetween } from "@/format/duration";
import { countWithNoun } from "@/format/number";

type Failing = NonNullable<PipelineStatistics["failing"]>;

/** Since when the pipeline fails, and who changed it before. */
export function FailureStart({ pipelineId, failing }: { pipelineId: string; failing: Failing }) {
  const [newest] = failing.versions;
  return (
    <section
      aria-label="Since when it fails"
      className="flex gap-3 rounded-card border border-line bg-bad-wash px-4 py-3"
    >
      <WarningIcon className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0">
        <p className="font-medium">
          Failing since <RelativeTime time={failing.first_failure_at} />{" "}
          <span className="font-normal text-soft">({countWithNoun(failing.failures, "run")})</span>
        </p>
        <p className="mt-0.5 wrap-anywhere text-soft">
          {newest ? (
            <>
              {versionsInWords(failing.versions)}{" "}
              {newest.author && (
                <>
                  by <bdi>{newest.author}</bdi>,{" "}
                </>
              )}
              {beforeFailure(newest, failing)}.
            </>
          ) : (
            "Its settings were not changed between the last success and the first failure."
          )}
        </p>
        <p className="mt-1.5 flex flex-wrap gap-x-4 gap-y-1">
          {newest && (
            <Link
              to="/pipelines/$pipelineId/versions"
              params={{ pipelineId }}
              search={{ version: newest.number }}
              className="link"
            >
              See what changed
            </Link>
          )}
          <Link to="/runs/$runId" params={{ runId: failing.first_failure_id }} className="link">
            Open the first failure
          </Link>
        </p>
      </div>
    </section>
  );
}

function versionsInWords(versions: Failing["versions"]): string {
  const [newest] = versions;
  if (versions.length === 1) return `Version ${newest!.number} was saved`;
  return `Versions ${versions.at(-1)!.number} to ${newest!.number} were saved, the last one`;
}

export function beforeFailure({ created_at }: Failing["versions"][number], failing: Failing): string {
  const seconds = secondsBetween(created_at, failing.first_failure_at, 0);
  return `${formatDuration(Math.round(seconds))} before the first failure`;
}
