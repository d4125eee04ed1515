import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Versioned } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import type { FileWatch, FileWatchChange } from "@/api/types";
import { Button } from "@/components/button";
import { EnabledSwitch } from "@/components/enabled-switch";
import { TextField } from "@/components/field";
import { RelativeTime } from "@/components/relative-time";
import { SaveError } from "@/components/save-error";
import { countWithNoun } from "@/format/number";
import { fileWatchQuery, useChangeFileWatch } from "./queries";

interface Props {
  pipelineId: string;
  canEdit: boolean;
}

/** Whether new files start the pipeline, and what the last look for files has found. Hidden if its source has no files. */
export function FileWatchCard({ pipelineId, canEdit }: Props) {
  const { data: watch } = useQuery(fileWatchQuery(pipelineId));
  if (!watch || (!watch.possible && !watch.enabled)) return null;
  return (
    <section aria-label="When new files arrive" className="card grid gap-3 p-4">
      <div>
        <h2 className="font-semibold">When new files arrive</h2>
        <p className="text-soft">
          Drover can look for files every few minutes. When they have changed, and two looks have found the
          same, the pipeline starts.
        </p>
      </div>
      {canEdit ? (
        <Form pipelineId={pipelineId} watch={watch} />
      ) : (
        <p>
          {watch.enabled
            ? `It looks every ${countWithNoun(watch.minutes, "minute")}.`
            : "It does not look for files."}
        </p>
      )}
      {watch.enabled && <LastLook watch={watch} />}
    </section>
  );
}

function Form({ pipelineId, watch }: { pipelineId: string; watch: Versioned<FileWatch> }) {
  const [typed, setTyped] = useState<string | null>(null); // null while the minutes are as they were saved
  const [alsoPresent, setAlsoPresent] = useState(false);
  const save = useChangeFileWatch(pipelineId);
  const errors = fieldMessages(save.error);
  const change = (changes: Partial<FileWatchChange>, onSuccess: () => void) =>
    save.mutate(
      { change: { enabled: watch.enabled, minutes: watch.minutes, ...changes }, etag: watch.etag },
      { onSuccess },
    );
  const minutes = typed ?? String(watch.minutes);
  const isChanged = minutes.trim() !== String(watch.minutes);
  return (
    <form
      className="grid gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        change({ minutes: Number(minutes) }, () => setTyped((now) => (now === minutes ? null : now)));
      }}
    >
      <EnabledSwitch
        of="the watch for new files"
        isEnabled={watch.enabled}
        // The minutes may be typed before the answer is here, so they stay.
        onChange={(enabled) =>
          change({ enabled, present_files_are_new: enabled && alsoPresent }, () => setAlsoPresent(false))
        }
      />
      {!watch.enabled && (
        <label className="flex items-start gap-2">
          <input
            type="checkbox"
            className="mt-1 size-4 shrink-0 accent-live"
            checked={alsoPresent}
            onChange={({ target }) => setAlsoPresent(target.checked)}
          />
          <span>
            Files that are there now start a run, too
            <span className="block text-[0.8125rem] text-soft">Otherwise only later changes do.</span>
          </span>
        </label>
      )}
      {watch.enabled && (
        <TextField
          label="Minutes between looks"
          inputMode="numeric"
          error={errors.minutes}
          value={minutes}
          onChange={({ target }) => setTyped(target.value)}
          action={
            <Button
              type="submit"
              disabledReason={save.isPending ? "Saving" : isChanged ? null : "Nothing has changed"}
            >
              Save
            </Button>
          }
        />
      )}
      {errors.enabled && <p className="text-bad">{errors.enabled}</p>}
      {save.error && !errors.minutes && !errors.enabled && (
        <SaveError error={save.error} hasConflict={false} />
      )}
    </form>
  );
}

function LastLook({ watch: { looked_at, next_look_at, files, problem, reason } }: { watch: FileWatch }) {
  return (
    <div className="grid gap-1">
      {problem && <p className="wrap-anywhere text-bad">The last look has failed: {problem}</p>}
      {reason && <p className="text-wait">{reason}</p>}
      <p className="text-soft">
        {looked_at === null ? (
          "It has not looked yet."
        ) : (
          <>
            Last look <RelativeTime time={looked_at} />
            {!problem && files !== null && `: ${countWithNoun(files, "file")}`}.
          </>
        )}{" "}
        {next_look_at && (
          <>
            Next look <RelativeTime time={next_look_at} />.
          </>
        )}
      </p>
    </div>
  );
}
