import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { Field, TextField } from "@/components/field";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PatternMatches, usePatternMatches } from "@/components/pattern-matches";
import { NO_PATTERNS } from "@/format/patterns";
import { ON_STREAM_FAILURE, ON_STREAM_FAILURE_HINTS, SYNC_MODES, WRITE_MODES } from "@/format/modes";
import { countWithNoun, formatCount } from "@/format/number";
import { proposedName } from "@/format/proposed-name";
import type { StreamDraft } from "@/components/streams/stream-draft";
import { isSeveral, type Draft } from "./draft";
import { PreviewTable } from "@/components/preview-table";
import { similarNamesQuery, uncheckedQuery, usePreview } from "./queries";
import { StepActions } from "./step";
import { TransformEditor, transformError } from "@/components/transform-editor";
import { UncheckedParts } from "@/components/unchecked-parts";

interface Props {
  draft: Draft;
  saving: boolean;
  error: unknown;
  errors: Record<string, string>;
  /** Called while the user types, so that nothing is lost if the page is left. */
  onChange: (change: Partial<Draft>) => void;
  /** Called with whether the first run is to be started too. */
  onDone: (choice: { name: string; tags: string[]; transform: string }, runs: boolean) => void;
}

export function ReviewStep({ draft, saving, error, errors, onChange, onDone }: Props) {
  const suggestion = suggestedName(draft);
  const { data: takenNames = [] } = useQuery(similarNamesQuery(suggestion));
  const { data: unchecked = [] } = useQuery(uncheckedQuery(draft));
  const [typedName, setName] = useState<string | null>(draft.name || null);
  const name = typedName ?? proposedName(suggestion, takenNames);
  const [tags, setTags] = useState(draft.tags.join(", "));
  const [transform, setTransform] = useState(draft.transform);
  const preview = usePreview();
  const transformMessage = transformError({ ...fieldMessages(preview.error), ...errors });
  function changeTransform(code: string) {
    setTransform(code);
    onChange({ transform: code });
  }
  const [previewed, setPreviewed] = useState(draft.patterns ? undefined : draft.streams[0]?.stream);
  const several = isSeveral(draft);
  const choices = usePreviewChoices(draft);
  const choice = { name, tags: parseTags(tags), transform };
  const refusal = saving ? "Creating" : name.trim() === "" ? "Enter a name first" : null;
  const showPreview = () => {
    const streams = choices.filter(({ stream }) => stream === (previewed ?? choices[0]?.stream));
    const code = draft.patterns ? draft.patterns.code : several ? "" : transform;
    preview.mutate({ ...draft, patterns: null, streams, transform: code });
  };
  return (
    <div className="grid gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Name"
          value={name}
          maxLength={120}
          required
          error={
            errors.name ?? nameTakenMessage(error) ?? (name.trim() === "" ? "This field is required." : null)
          }
          onChange={({ target }) => {
            setName(target.value);
            onChange({ name: target.value });
          }}
        />
        <TextField
          label="Tags"
          optional
          hint="Separate tags with commas."
          value={tags}
          error={errors.tags}
          onChange={({ target }) => {
            setTags(target.value);
            onChange({ tags: parseTags(target.value) });
          }}
        />
      </div>
      {draft.patterns && draft.source ? (
        <PatternMatches connectorId={draft.source.connectorId} values={draft.patterns} />
      ) : (
        several && <StreamList streams={draft.streams} />
      )}
      {several && (
        <div className="grid gap-4 sm:grid-cols-2">
          <ChoiceField
            label="If a stream fails"
            hint={ON_STREAM_FAILURE_HINTS[draft.onStreamFailure]}
            error={errors["config.on_stream_failure"]}
            words={ON_STREAM_FAILURE}
            value={draft.onStreamFailure}
            onChange={(onStreamFailure) => onChange({ onStreamFailure })}
          />
        </div>
      )}
      {several ? (
        <p className="text-soft">
          {draft.patterns
            ? "A stream can get settings and a transform of its own on the page of the pipeline after it was created."
            : "Transforms with Python can be added to each stream on the page of the pipeline after it was created."}
        </p>
      ) : (
        <details open={transform !== ""} className="rounded-card border border-line">
          <summary className="rounded-card px-3 py-2 font-medium hover:bg-hover">
            Transform records with Python <span className="font-normal text-faint">(optional)</span>
          </summary>
          <div className="border-t border-line p-3">
            <TransformEditor code={transform} onChange={changeTransform} error={transformMessage} />
          </div>
        </details>
      )}
      {several && choices.length > 0 && (
        <Field label="Stream of the preview">
          {(control) => (
            <select
              className="control sm:w-72!"
              {...control}
              value={previewed}
              onChange={({ target }) => {
                setPreviewed(target.value);
                preview.reset();
              }}
            >
              {choices.map(({ stream }) => (
                <option key={stream}>{stream}</option>
              ))}
            </select>
          )}
        </Field>
      )}
      {preview.isPending && <Skeletons rows={4} />}
      {preview.error && !transformMessage && <ErrorNotice error={preview.error} retry={showPreview} />}
      {preview.data?.failure && <FailureNotice {...preview.data.failure} retry={showPreview} />}
      {preview.data?.ok && (
        <div className="grid gap-1.5">
          <p className="text-soft">
            Read {countWithNoun(preview.data.records.length, "record")} from the source. Nothing was written.
          </p>
          <PreviewTable preview={preview.data} />
        </div>
      )}
      {unchecked.length > 0 && <UncheckedParts parts={unchecked} />}
      {error != null && !nameTakenMessage(error) && !transformMessage && <ErrorNotice error={error} />}
      <StepActions
        nextLabel={saving ? "Creating…" : "Create and run"}
        disabledReason={refusal}
        onNext={() => onDone(choice, true)}
      >
        <Button disabledReason={refusal} onClick={() => onDone(choice, false)}>
          Create pipeline
        </Button>
        <Button disabledReason={preview.isPending ? "Reading" : null} onClick={showPreview}>
          Preview 10 records
        </Button>
      </StepActions>
    </div>
  );
}

/** The streams of which one can be previewed. Those that patterns choose are known as soon as the server has listed them. */
function usePreviewChoices({ patterns, source, streams }: Draft): StreamDraft[] {
  const { data } = usePatternMatches(source?.connectorId ?? "", patterns ?? NO_PATTERNS, NO_NAMES);
  return useMemo(() => {
    if (!patterns) return streams;
    return (data?.streams ?? []).slice(0, MAX_CHOICES).map((each) => ({
      stream: each.stream,
      syncMode: "full_refresh",
      cursorField: null,
      primaryKey: [],
      table: each.table,
      writeMode: "replace",
      fields: patterns.fields,
    }));
  }, [patterns, streams, data]);
}

const NO_NAMES: string[] = [];
const MAX_CHOICES = 200; // streams in the list of the preview
const MAX_LISTED = 20; // streams

/** The streams in short: where each is written, and how. */
function StreamList({ streams }: { streams: StreamDraft[] }) {
  const hidden = streams.length - MAX_LISTED;
  return (
    <section aria-label="Streams" className="grid gap-1">
      <h3 className="text-[0.8125rem] font-medium">{countWithNoun(streams.length, "stream")}</h3>
      <ul className="divide-y divide-line rounded-card border border-line text-[0.8125rem]">
        {streams.slice(0, MAX_LISTED).map(({ stream, table, syncMode, writeMode }) => (
          <li key={stream} className="px-3 py-1.5 wrap-anywhere">
            <span className="font-medium">{stream}</span>{" "}
            <span className="text-soft">
              to {table} · {SYNC_MODES[syncMode]} · {WRITE_MODES[writeMode]}
            </span>
          </li>
        ))}
        {hidden > 0 && <li className="px-3 py-1.5 text-soft">and {formatCount(hidden)} more</li>}
      </ul>
    </section>
  );
}

function suggestedName({ source, streams, patterns, destination }: Draft): string {
  if (patterns) return `${source?.label ?? ""} to ${destination?.label ?? ""}`;
  const only = streams.length === 1 ? streams[0]!.stream : null;
  return `${only ?? `${streams.length} streams of ${source?.label ?? ""}`} to ${destination?.label ?? ""}`;
}

function parseTags(text: string): string[] {
  return [
    ...new Set(
      text
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean),
    ),
  ];
}
