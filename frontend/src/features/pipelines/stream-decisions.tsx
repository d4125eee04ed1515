import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { ActionRefused, ProblemError } from "@/api/problem";
import type { Pipeline } from "@/api/types";
import { Button } from "@/components/button";
import { showError, showSuccess } from "@/components/toast";
import { countWithNoun, formatCount } from "@/format/number";
import { streamsOfPipelineQuery, useDecideStreams, type StreamFilter } from "./queries";

interface Props {
  pipeline: Pipeline;
  canEdit: boolean;
}

/** The streams that need a decision: those that are new in the source, and those that it does not list any more. */
export function StreamDecisions({ pipeline, canEdit }: Props) {
  if (!pipeline.config.patterns) return null;
  return (
    <div className="mb-4 grid gap-3 empty:hidden">
      <Decision
        {...{ pipeline, canEdit }}
        filter={{ state: "waiting" }}
        title={(count) => `${countWithNoun(count, "new stream")} in the source`}
        text="Runs do not read a new stream until somebody adds it."
      />
      <Decision
        {...{ pipeline, canEdit }}
        filter={{ state: "included", missing: true }}
        title={(count) => `${countWithNoun(count, "stream")} gone from the source`}
        text="Runs fail for a stream that is gone. Restore it in the source, or ignore it here; its table in the destination stays as it is."
      />
    </div>
  );
}

/** The streams that are ignored, which can be added again. */
export function IgnoredStreams({ pipeline, canEdit }: Props) {
  if (!pipeline.config.patterns) return null;
  return (
    <Decision
      {...{ pipeline, canEdit }}
      filter={{ state: "ignored" }}
      title={(count) => `${countWithNoun(count, "ignored stream")}`}
      text="These streams match the patterns, but are not read."
    />
  );
}

interface DecisionProps extends Props {
  filter: StreamFilter;
  title: (count: number) => string;
  text: string;
}

function Decision({ pipeline, canEdit, filter, title, text }: DecisionProps) {
  const titleId = useId();
  const { data } = useQuery(streamsOfPipelineQuery(pipeline.id, filter));
  const decide = useDecideStreams(pipeline.id);
  if (!data || data.count === 0) return null;
  const names = data.results.map(({ stream }) => stream);
  const decisions = [
    ...(filter.state === "included" ? [] : (["add"] as const)),
    ...(filter.state === "ignored" ? [] : (["ignore"] as const)),
  ];
  const choose = (decision: "add" | "ignore", streams: string[]) =>
    decide.mutate(
      { decision, streams },
      {
        onSuccess: () => showSuccess(message(decision, streams)),
        onError: (error) => showError(firstReason(error)),
      },
    );
  return (
    <section aria-labelledby={titleId} className="card grid min-w-0 gap-2 p-4">
      <div className="flex flex-wrap items-center gap-2">
        <h2 id={titleId} className="mr-auto font-semibold">
          {title(data.count)}
        </h2>
        {canEdit &&
          names.length > 1 &&
          decisions.map((decision) => (
            <Button
              key={decision}
              size="small"
              disabledReason={decide.isPending ? "Saving" : null}
              onClick={() => choose(decision, names)}
            >
              {WORDS[decision]} {names.length < data.count ? `the first ${formatCount(names.length)}` : "all"}
            </Button>
          ))}
      </div>
      <p className="text-soft">{text}</p>
      <ul className="max-h-64 divide-y divide-line overflow-y-auto rounded-card border border-line text-[0.8125rem]">
        {names.map((stream) => (
          <li key={stream} className="flex flex-wrap items-center gap-2 px-3 py-1">
            <span className="mr-auto min-w-0 font-medium wrap-anywhere">{stream}</span>
            {canEdit &&
              decisions.map((decision) => (
                <Button
                  key={decision}
                  size="small"
                  aria-label={`${WORDS[decision]} ${stream}`}
                  disabledReason={decide.isPending ? "Saving" : null}
                  onClick={() => choose(decision, [stream])}
                >
                  {WORDS[decision]}
                </Button>
              ))}
          </li>
        ))}
      </ul>
    </section>
  );
}

const WORDS = { add: "Add", ignore: "Ignore" };

function message(decision: "add" | "ignore", streams: string[]): string {
  const subject = streams.length === 1 ? streams[0]! : countWithNoun(streams.length, "stream");
  return decision === "add" ? `${subject} will be read by the next run.` : `${subject} will not be read.`;
}

/** The reason why a table is taken, which the answer has as the message of a field. */
function firstReason(error: unknown): unknown {
  const reason = error instanceof ProblemError ? error.fields[0]?.message : undefined;
  return reason ? new ActionRefused(reason) : error;
}
