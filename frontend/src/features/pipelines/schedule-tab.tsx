import { useState } from "react";
import { messagesBelow, fieldMessages } from "@/api/problem";
import type { Pipeline } from "@/api/types";
import { Button } from "@/components/button";
import { ConflictNotice } from "@/components/conflict-notice";
import { Field, TextField } from "@/components/field";
import { RelativeTime } from "@/components/relative-time";
import { NextRuns } from "@/components/next-runs";
import { ScheduleFields, useCheckedSchedule } from "@/components/schedule-fields";
import { SaveError } from "@/components/save-error";
import { showError, showSuccess } from "@/components/toast";
import { useFocusReturn } from "@/components/use-focus-return";
import { dayInWords, windowInWords, type BlackoutWindow } from "@/format/blackouts";
import { isSame, type Values } from "@/format/merge";
import { scheduleInWords, usesLocalTime, type Schedule } from "@/format/schedule";
import { BlackoutFields } from "./blackout-fields";
import { SaveBar } from "./configuration-tab";
import { RunAfterCard } from "./dependencies/run-after-card";
import { FileWatchCard } from "./file-watch/file-watch-card";
import { FollowUpsCard } from "./follow-ups/follow-ups-card";
import { HooksCard } from "./hooks/hooks-card";
import { usePipelinePage } from "./page-context";
import { useChangePipeline, usePauseSchedule } from "./queries";
import { scheduleValues } from "./schedule-values";

const SHOWN_TIMES = 10;

const OVERLAPS: Record<string, string> = {
  skip: "Skip the new run",
  queue: "Start the new run afterwards",
  cancel_other: "Cancel the run before",
};
const MISFIRES: Record<string, string> = {
  run_once: "Run once",
  skip: "Skip them",
};
const LABELS: Record<string, string> = {
  times: "Schedule",
  overlap: "If the run before is not finished",
  misfire: "After missed times",
  blackouts: "Blackouts",
  end_date: "Last day with runs",
};

export function ScheduleTab() {
  const { pipeline, canEdit, schedule: edits } = usePipelinePage();
  const schedule = scheduleChange(edits.values);
  const checked = useCheckedSchedule(schedule, SHOWN_TIMES);
  const isEdited = edits.changed.length > 0;
  return (
    <div className="grid gap-4 @4xl/page:grid-cols-[1fr_20rem]">
      <div className="grid min-w-0 content-start gap-4">
        {pipeline.schedule && <PauseCard pipeline={pipeline} canEdit={canEdit} />}
        {canEdit ? (
          <ScheduleForm checked={checked} />
        ) : (
          <section aria-label="Schedule" className="card p-4">
            <h2 className="mb-1 font-semibold">Schedule</h2>
            <p>{scheduleInWords(pipeline.schedule)}</p>
            {pipeline.schedule && pipeline.schedule.blackouts.length > 0 && (
              <p>Blackouts: {pipeline.schedule.blackouts.map(windowInWords).join("; ")}</p>
            )}
            <p className="mt-2 text-soft">You can view this schedule, but not change it.</p>
          </section>
        )}
        <RunAfterCard pipelineId={pipeline.id} canEdit={canEdit} />
        <FileWatchCard pipelineId={pipeline.id} canEdit={canEdit} />
        <HooksCard pipelineId={pipeline.id} canEdit={canEdit} />
        <FollowUpsCard pipelineId={pipeline.id} canEdit={canEdit} />
      </div>
      <section aria-label="Next runs" className="card min-w-0 self-start p-4">
        <h2 className="font-semibold">{isEdited ? "Next runs with this schedule" : "Next runs"}</h2>
        <p className="mb-2 text-soft">{scheduleInWords(schedule)}</p>
        {!pipeline.enabled && (
          <p className="mb-2 text-wait">The pipeline is disabled, so it does not start at these times.</p>
        )}
        {pipeline.schedule?.paused_at && (
          <p className="mb-2 text-wait">
            The schedule is paused, so the pipeline does not start at these times.
          </p>
        )}
        {schedule ? (
          <div className="min-h-64">
            <NextRuns schedule={schedule} checked={checked} />
          </div>
        ) : (
          <p className="text-soft">It has no times of its own.</p>
        )}
      </section>
    </div>
  );
}

function ScheduleForm({ checked }: { checked: ReturnType<typeof useCheckedSchedule> }) {
  const { pipeline, schedule: edits } = usePipelinePage();
  const save = useChangePipeline(pipeline.id);
  const { values, changed } = edits;
  const schedule = scheduleChange(values);
  const hasConflict = !save.isPending && edits.isOutdated;
  const errors = { ...checked.errors, ...messagesBelow(fieldMessages(save.error), "schedule") };

  function submit(next: Values) {
    save.mutate(
      { change: { schedule: scheduleChange(next) }, etag: pipeline.etag },
      {
        onSuccess: () => {
          edits.finish();
          showSuccess("The schedule was saved.");
        },
      },
    );
  }
  function change(changes: Values) {
    edits.change(changes);
    if (!save.isPending) save.reset();
  }
  return (
    <>
      {hasConflict && (
        <ConflictNotice
          edits={edits}
          saved={scheduleValues(pipeline.schedule)}
          labelOf={(field) => LABELS[field] ?? field}
          textOf={scheduleText}
          isSaving={save.isPending}
          takesFocus={save.isError}
          onSave={submit}
          onContinue={save.reset}
        />
      )}
      <div key={edits.formKey} className="card grid gap-4 p-4">
        <h2 className="font-semibold">Schedule</h2>
        <ScheduleFields
          schedule={values.times as Schedule | null}
          onChange={(times) => change({ times })}
          errors={errors}
          usesLocalTime={schedule !== null && usesLocalTime(schedule)}
        />
        {values.times !== null && (
          <div className="grid gap-4 sm:grid-cols-2">
            <Choice
              label={LABELS.overlap!}
              value={String(values.overlap)}
              choices={OVERLAPS}
              onChange={(overlap) => change({ overlap })}
            />
            <Choice
              label={LABELS.misfire!}
              hint="Times that passed while Drover was not running, or within a blackout."
              value={String(values.misfire)}
              choices={MISFIRES}
              onChange={(misfire) => change({ misfire })}
            />
            <TextField
              label={LABELS.end_date}
              optional
              type="date"
              error={errors.end_date}
              value={(values.end_date as string | null) ?? ""}
              onChange={({ target }) => change({ end_date: target.value || null })}
            />
            <div className="sm:col-span-2">
              <BlackoutFields
                windows={values.blackouts as BlackoutWindow[]}
                errors={errors}
                onChange={(blackouts) => change({ blackouts })}
              />
            </div>
          </div>
        )}
      </div>
      {save.error && <SaveError error={save.error} hasConflict={hasConflict} />}
      {changed.length > 0 && !hasConflict && (
        <SaveBar
          count={changed.length}
          disabledReason={save.isPending ? "Saving" : checked.problem}
          onSave={() => submit(values)}
          onDiscard={edits.discard}
        />
      )}
    </>
  );
}

interface ChoiceProps {
  label: string;
  hint?: string;
  value: string;
  choices: Record<string, string>;
  onChange: (value: string) => void;
}

function Choice({ label, hint, value, choices, onChange }: ChoiceProps) {
  return (
    <Field label={label} hint={hint}>
      {(control) => (
        <select
          className="control"
          {...control}
          value={value}
          onChange={({ target }) => onChange(target.value)}
        >
          {Object.entries(choices).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function scheduleChange({ times, ...policies }: Values): Schedule | null {
  return times === null ? null : { ...(times as Schedule), ...policies };
}

function scheduleText(field: string, value: unknown): string {
  if (field === "overlap") return OVERLAPS[String(value)] ?? String(value);
  if (field === "misfire") return MISFIRES[String(value)] ?? String(value);
  if (field === "blackouts") return (value as BlackoutWindow[]).map(windowInWords).join("; ") || "None";
  if (field === "end_date") return value ? dayInWords(value as string) : "None";
  return scheduleInWords(value as Schedule | null);
}

function PauseCard({ pipeline, canEdit }: { pipeline: Pipeline; canEdit: boolean }) {
  const [note, setNote] = useState<string | null>(null); // null while the form is closed
  const noteButton = useFocusReturn(note !== null);
  const pause = usePauseSchedule(pipeline.id);
  const { paused_at, paused_note, paused_by } = pipeline.schedule!;
  const change = (next: string | null) =>
    pause.mutate(next, {
      onSuccess: () => {
        setNote(null);
        showSuccess(next === null ? "The schedule was resumed." : "The schedule was paused.");
      },
      onError: (error) => showError(error),
    });
  if (!paused_at && !canEdit) return null;
  return (
    <section aria-label="Pause" className="card grid gap-3 p-4">
      {paused_at ? (
        <div>
          <h2 className="font-semibold text-wait">The schedule is paused</h2>
          <p className="text-soft">
            By {paused_by?.name ?? "a former member"} <RelativeTime time={paused_at} />.{" "}
            {paused_note && <q className="wrap-anywhere text-ink">{paused_note}</q>}
          </p>
        </div>
      ) : (
        <p className="text-soft">
          While a schedule is paused, the pipeline can still be started by hand. Times that pass are not made
          up for.
        </p>
      )}
      {canEdit && note !== null && (
        <TextField
          label="Note"
          optional
          hint="Why it is paused, for your colleagues."
          maxLength={200}
          autoFocus
          value={note}
          onChange={({ target }) => setNote(target.value)}
        />
      )}
      {canEdit && (
        <div className="flex flex-wrap gap-2">
          {note === null ? (
            <>
              {paused_at && (
                <Button disabledReason={pause.isPending ? "Resuming" : null} onClick={() => change(null)}>
                  Resume schedule
                </Button>
              )}
              <Button
                ref={noteButton}
                look={paused_at ? "quiet" : "plain"}
                onClick={() => setNote(paused_note)}
              >
                {paused_at ? "Change note" : "Pause schedule"}
              </Button>
            </>
          ) : (
            <>
              <Button
                look="primary"
                disabledReason={
                  pause.isPending
                    ? "Pausing"
                    : paused_at && isSame(note.trim(), paused_note)
                      ? "Nothing has changed"
                      : null
                }
                onClick={() => change(note.trim())}
              >
                {paused_at ? "Save note" : "Pause schedule"}
              </Button>
              <Button look="quiet" onClick={() => setNote(null)}>
                Cancel
              </Button>
            </>
          )}
        </div>
      )}
    </section>
  );
}
