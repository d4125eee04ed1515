import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId } from "react";
import type { Pipeline, SourceChange } from "@/api/types";
import { Button } from "@/components/button";
import { RelativeTime } from "@/components/relative-time";
import { showError, showSuccess } from "@/components/toast";
import { sourceChangesQuery, useDecideChange, type Decision } from "./queries";
import { changeInWords, effectInWords } from "@/components/source-changes/words";

interface Props {
  pipeline: Pipeline;
  canEdit: boolean;
}

/** What has changed at the source since earlier runs, until somebody accepts or ignores it. */
export function SourceChanges({ pipeline, canEdit }: Props) {
  const titleId = useId();
  const query = useInfiniteQuery(sourceChangesQuery(pipeline.id));
  const changes = query.data?.pages.flatMap((page) => page.results) ?? [];
  if (changes.length === 0) return null;
  const canPause = pipeline.schedule !== null && pipeline.schedule.paused_at === null;
  return (
    <section aria-labelledby={titleId} className="card mb-4 grid min-w-0 gap-2 p-4">
      <h2 id={titleId} className="font-semibold">
        Changes at the source
      </h2>
      <p className="text-soft">
        Runs have found these changes. <strong className="font-medium text-ink">Accept</strong> a change that
        is right: a new column that was left out then arrives, and a stream that is gone is removed from the
        pipeline. <strong className="font-medium text-ink">Ignore</strong> hides a change and changes nothing.
      </p>
      <ul className="max-h-80 divide-y divide-line overflow-y-auto rounded-card border border-line text-[0.8125rem]">
        {changes.map((change) => (
          <Change key={change.id} {...{ pipeline, change, canEdit, canPause }} />
        ))}
      </ul>
      {query.hasNextPage && (
        <Button
          size="small"
          className="justify-self-start"
          disabledReason={query.isFetchingNextPage ? "Loading" : null}
          onClick={() => void query.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </section>
  );
}

interface ChangeProps extends Props {
  change: SourceChange;
  canPause: boolean;
}

function Change({ pipeline, change, canEdit, canPause }: ChangeProps) {
  const decide = useDecideChange(pipeline.id);
  const words = changeInWords(change);
  const effect = effectInWords(change);
  const choose = (decision: Decision) =>
    decide.mutate(
      { change, decision },
      {
        onSuccess: () => showSuccess(DECIDED[decision]),
        onError: (error) => showError(error),
      },
    );
  const decisions: Decision[] = canPause ? ["accept", "ignore", "pause"] : ["accept", "ignore"];
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-1.5">
      <div className="mr-auto min-w-0">
        <p className="wrap-anywhere">
          <span className="font-medium">{change.stream}</span>: {words}
          {effect && <span className="text-soft">. {effect}</span>}
        </p>
        <p className="text-xs text-faint">
          <Link to="/runs/$runId" params={{ runId: change.run_id }} className="link">
            Found by a run
          </Link>{" "}
          <RelativeTime time={change.created_at} />
          {change.decision === "pause" &&
            ` · Schedule paused by ${change.decided_by?.name ?? "a former member"}`}
        </p>
      </div>
      {canEdit && (
        <div className="flex flex-wrap gap-1">
          {decisions.map((decision) => (
            <Button
              key={decision}
              size="small"
              aria-label={`${LABELS[decision]}: ${change.stream}, ${words}`}
              disabledReason={decide.isPending ? "Saving" : null}
              onClick={() => choose(decision)}
            >
              {LABELS[decision]}
            </Button>
          ))}
        </div>
      )}
    </li>
  );
}

const LABELS: Record<Decision, string> = { accept: "Accept", ignore: "Ignore", pause: "Pause schedule" };
const DECIDED: Record<Decision, string> = {
  accept: "Change accepted.",
  ignore: "Change ignored.",
  pause: "Schedule paused.",
};
