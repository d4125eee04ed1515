import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Versioned } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import type { Dependencies, DependenciesChange } from "@/api/types";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { TextField } from "@/components/field";
import { Name } from "@/components/name";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { PipelinePicker } from "@/components/pipeline-picker";
import { RelativeTime } from "@/components/relative-time";
import { SaveError } from "@/components/save-error";
import { TextWithTimes } from "@/components/text-with-times";
import { showSuccess } from "@/components/toast";
import { useFocusReturn } from "@/components/use-focus-return";
import { countWithNoun } from "@/format/number";
import { dependenciesQuery, useChangeDependencies } from "./queries";

const MODES: Record<Dependencies["mode"], string> = {
  all: "Each of them has succeeded",
  any: "One of them has succeeded",
};
type Upstream = Dependencies["upstreams"][number];
const STATES: Record<Upstream["state"], string> = {
  ready: "New success",
  waiting: "Nothing new since its last success",
  failed: "Failed",
  too_old: "Success is too old",
};
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const HOUR_DIGITS = 4; // after the point; enough for each whole number of seconds

interface Props {
  pipelineId: string;
  canEdit: boolean;
}

/** After which other pipelines this one runs, and why it does not run now. */
export function RunAfterCard({ pipelineId, canEdit }: Props) {
  const { data, error, refetch } = useQuery(dependenciesQuery(pipelineId));
  const [isEditing, setEditing] = useState(false);
  const changeButton = useFocusReturn(isEditing);
  return (
    <section aria-label="Run after" className="card grid gap-3 p-4">
      <h2 className="font-semibold">Run after</h2>
      {error && !data && <ErrorNotice error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons rows={2} />}
      {data && !isEditing && <Summary dependencies={data} />}
      {data && canEdit && !isEditing && (
        <div>
          <Button ref={changeButton} onClick={() => setEditing(true)}>
            {data.upstreams.length > 0 ? "Change" : "Choose pipelines"}
          </Button>
        </div>
      )}
      {data && isEditing && (
        <Form pipelineId={pipelineId} dependencies={data} onClose={() => setEditing(false)} />
      )}
    </section>
  );
}

function Summary({ dependencies }: { dependencies: Dependencies }) {
  const { upstreams, downstreams, hidden, reason, mode, window_seconds } = dependencies;
  return (
    <div className="grid gap-2">
      {upstreams.length === 0 && hidden === 0 && (
        <p className="text-soft">It does not wait for other pipelines.</p>
      )}
      {reason && (
        <p className={dependencies.state === "blocked" ? "text-bad" : "text-soft"}>
          <TextWithTimes text={reason} />
        </p>
      )}
      {upstreams.length > 0 && (
        <>
          <p>
            It starts when {mode === "all" ? "each of these has succeeded" : "one of these has succeeded"}
            {window_seconds !== null && `, within ${windowInWords(window_seconds)}`}:
          </p>
          <ul className="grid gap-1">
            {upstreams.map(({ pipeline, state, last_success_at, failing_since }) => (
              <li key={pipeline.id} className="flex flex-wrap gap-x-3">
                <PipelineLink {...pipeline} />
                <span className={state === "failed" ? "text-bad" : "text-faint"}>
                  {STATES[state]}{" "}
                  <RelativeTime time={state === "failed" ? failing_since : last_success_at} fallback="" />
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
      {downstreams.length > 0 && (
        <p className="text-soft">
          After it:{" "}
          {downstreams.map((pipeline, place) => (
            <span key={pipeline.id}>
              {place > 0 && ", "}
              <PipelineLink {...pipeline} />
            </span>
          ))}
        </p>
      )}
      {upstreams.length + downstreams.length > 0 && (
        <p>
          <Link to="/dependencies" className="link">
            Show all dependencies
          </Link>
        </p>
      )}
      {hidden > 0 && <p className="text-faint">And {hidden} more that you cannot see.</p>}
    </div>
  );
}

function PipelineLink({ id, name }: { id: string; name: string }) {
  return (
    <Link to="/pipelines/$pipelineId" params={{ pipelineId: id }} className="link">
      <Name>{name}</Name>
    </Link>
  );
}

interface FormProps {
  pipelineId: string;
  dependencies: Versioned<Dependencies>;
  onClose: () => void;
}

function Form({ pipelineId, dependencies, onClose }: FormProps) {
  const [mode, setMode] = useState(dependencies.mode);
  const [hours, setHours] = useState(hoursOf(dependencies.window_seconds));
  const [chosen, setChosen] = useState(dependencies.upstreams.map(({ pipeline }) => pipeline));
  const save = useChangeDependencies(pipelineId);
  const errors = fieldMessages(save.error);
  const faults = Object.entries(errors).flatMap(([field, message]) =>
    field.startsWith("upstream_ids") ? [message] : [],
  );
  function submit() {
    const change: DependenciesChange = {
      mode,
      window_seconds: hours.trim() ? Math.round(Number(hours) * HOUR) : null,
      upstream_ids: chosen.map(({ id }) => id),
    };
    save.mutate(
      { change, etag: dependencies.etag },
      {
        onSuccess: () => {
          showSuccess("The dependencies were saved.");
          onClose();
        },
      },
    );
  }
  const isNumber = !hours.trim() || Number(hours) > 0;
  return (
    <form
      className="grid gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <ul aria-label="Chosen pipelines" className="grid gap-1 empty:hidden">
        {chosen.map(({ id, name }) => (
          <li key={id} className="flex items-center justify-between gap-2">
            <Name>{name}</Name>
            <Button
              look="quiet"
              size="small"
              aria-label={`Remove ${name}`}
              onClick={() => setChosen(chosen.filter((one) => one.id !== id))}
            >
              Remove
            </Button>
          </li>
        ))}
      </ul>
      <PipelinePicker
        excluded={[pipelineId, ...chosen.map(({ id }) => id)]}
        error={faults.join(" ") || null}
        onAdd={(pipeline) => setChosen([...chosen, pipeline])}
      />
      {chosen.length > 0 && (
        <div className="grid gap-4 sm:grid-cols-2">
          <ChoiceField label="Start when" words={MODES} value={mode} onChange={setMode} />
          <TextField
            label="Within hours"
            optional
            inputMode="decimal"
            hint="A success that is older does not count."
            error={errors.window_seconds ?? (isNumber ? null : "Must be a number of hours, such as 24.")}
            value={hours}
            onChange={({ target }) => setHours(target.value)}
          />
        </div>
      )}
      {save.error && faults.length === 0 && <SaveError error={save.error} hasConflict={false} />}
      <div className="flex flex-wrap gap-2">
        <Button
          type="submit"
          look="primary"
          disabledReason={save.isPending ? "Saving" : isNumber ? null : "Enter a number of hours"}
        >
          Save
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

function hoursOf(seconds: number | null): string {
  return seconds === null ? "" : String(Number((seconds / HOUR).toFixed(HOUR_DIGITS)));
}

/** Whole hours, or minutes. Only programs set a window of other seconds. */
function windowInWords(seconds: number): string {
  return seconds % HOUR === 0
    ? countWithNoun(seconds / HOUR, "hour")
    : countWithNoun(Math.round(seconds / MINUTE), "minute");
}
