import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { StreamInfo } from "@/api/types";
import { Button } from "@/components/button";
import { EmptyState, ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PatternDefaults } from "@/components/pattern-defaults";
import { PatternFields } from "@/components/pattern-fields";
import { PatternMatches } from "@/components/pattern-matches";
import { SYNC_MODES } from "@/format/modes";
import { countWithNoun, formatCount } from "@/format/number";
import { NO_PATTERNS, patternList, type PatternValues } from "@/format/patterns";
import type { StreamDraft, SyncMode } from "@/components/streams/stream-draft";
import { streamsQuery } from "@/components/streams/queries";
import { RefreshStreams } from "@/components/streams/refresh-streams";
import { FilterFields, MAX_WITHOUT_SEARCH, useFilter } from "@/components/streams/stream-filter";
import { StepActions } from "./step";
import {
  addStreams,
  cursorFieldsOf,
  problemsOf,
  removeStreams,
  withSyncMode,
  type FieldErrors,
} from "@/components/streams/stream-choice";
import { StreamSettings } from "@/components/streams/stream-settings";
import { StreamTable } from "@/components/streams/stream-table";

interface Props {
  connectorId: string;
  /** Null if the streams are chosen in the table. */
  patterns: PatternValues | null;
  onChangePatterns: (patterns: PatternValues | null) => void;
  /** The server's messages about the patterns by field. */
  patternErrors?: Record<string, string>;
  chosen: StreamDraft[];
  /** The server's messages by stream and field, after the pipeline could not be saved. */
  errors?: Record<string, FieldErrors>;
  /** The server's message about the whole list. */
  listError?: string;
  /** Must be the same function at each rendering, so that only changed rows are rendered again. */
  onChange: (change: (chosen: StreamDraft[]) => StreamDraft[]) => void;
  onDone: () => void;
}

export function StreamStep({ connectorId, patterns, onChangePatterns, patternErrors, ...props }: Props) {
  const { data, error, refetch, isPending } = useQuery(streamsQuery(connectorId));
  if (error) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeletons rows={4} />;
  if (data.failure) return <FailureNotice {...data.failure} retry={() => void refetch()} />;
  if (data.streams.length === 0) {
    return (
      <EmptyState title="No streams found" action={<Button onClick={() => void refetch()}>Try again</Button>}>
        The connection works, but its user cannot read any stream. Grant this user read access, then try
        again.
      </EmptyState>
    );
  }
  return (
    <div className="grid gap-4">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <WayToChoose
          isByPatterns={patterns !== null}
          onChange={(isByPatterns) => onChangePatterns(isByPatterns ? NO_PATTERNS : null)}
        />
        <RefreshStreams connectorId={connectorId} foundAt={data.found_at} />
      </div>
      {patterns ? (
        <PatternChoice
          connectorId={connectorId}
          streams={data.streams}
          patterns={patterns}
          errors={patternErrors ?? {}}
          onChange={onChangePatterns}
          onDone={props.onDone}
        />
      ) : (
        <StreamChoice streams={data.streams} {...props} />
      )}
    </div>
  );
}

const WAYS = [
  [false, "Choose streams"],
  [true, "All that match patterns"],
] as const;

interface WayProps {
  isByPatterns: boolean;
  onChange: (isByPatterns: boolean) => void;
}

function WayToChoose({ isByPatterns, onChange }: WayProps) {
  return (
    <div role="group" aria-label="How streams are chosen" className="flex flex-wrap gap-1">
      {WAYS.map(([value, label]) => (
        <Button
          key={label}
          size="small"
          look={value === isByPatterns ? "plain" : "quiet"}
          aria-pressed={value === isByPatterns}
          onClick={() => value !== isByPatterns && onChange(value)}
        >
          {label}
        </Button>
      ))}
    </div>
  );
}

interface PatternChoiceProps {
  connectorId: string;
  streams: StreamInfo[];
  patterns: PatternValues;
  errors: Record<string, string>;
  onChange: (patterns: PatternValues) => void;
  onDone: () => void;
}

/** Patterns that are matched with the streams of the source at each run. */
function PatternChoice({ connectorId, streams, patterns, errors, onChange, onDone }: PatternChoiceProps) {
  const cursorFields = useMemo(() => cursorFieldsOf(streams), [streams]);
  const isIncomplete = patterns.syncMode === "incremental" && patterns.cursorField.trim() === "";
  return (
    <>
      <p className="text-soft">
        Each run reads the streams that match when it begins. Streams can be excluded with a pattern, and get
        settings of their own on the pipeline&apos;s page.
      </p>
      <PatternFields values={patterns} errors={errors} cursorFields={cursorFields} onChange={onChange} />
      <PatternDefaults values={patterns} errors={errors} connectorId={connectorId} onChange={onChange} />
      <PatternMatches connectorId={connectorId} values={patterns} />
      <StepActions
        nextLabel="Continue"
        disabledReason={
          patternList(patterns.match).length === 0
            ? "Enter a pattern first"
            : isIncomplete
              ? "Enter the cursor column first"
              : null
        }
        onNext={onDone}
      />
    </>
  );
}

type ChoiceProps = Omit<Props, "connectorId" | "patterns" | "onChangePatterns" | "patternErrors"> & {
  streams: StreamInfo[];
};

const NO_ERRORS: Record<string, FieldErrors> = {};

function StreamChoice({ streams, chosen, errors = NO_ERRORS, listError, onChange, onDone }: ChoiceProps) {
  const infos = useMemo(() => new Map(streams.map((info) => [info.name, info])), [streams]);
  // A kept pipeline may have a stream that the source no longer has.
  const present = useMemo(() => chosen.filter(({ stream }) => infos.has(stream)), [chosen, infos]);
  const byName = useMemo(() => new Map(present.map((stream) => [stream.stream, stream])), [present]);
  const problems = useMemo(
    () => ({ ...errors, ...(present.length > 1 ? problemsOf(present) : {}) }),
    [errors, present],
  );
  // A lone stream is chosen, because there is no other choice.
  const lone = streams.length === 1 ? streams[0] : undefined;
  const choosesLone = useRef(chosen.length === 0);
  useEffect(() => {
    if (lone && choosesLone.current) onChange((before) => addStreams(before, [lone]));
    choosesLone.current = false;
  }, [lone, onChange]);
  const selected = present.map(({ stream }) => stream);
  const failing = selected.filter((stream) => problems[stream]);
  const hasFilter = streams.length > MAX_WITHOUT_SEARCH;
  const filter = useFilter(streams, hasFilter ? failing : []);
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(failing));
  const onToggle = useCallback(
    (info: StreamInfo, isChosen: boolean) =>
      onChange((before) => (isChosen ? addStreams(before, [info]) : removeStreams(before, [info]))),
    [onChange],
  );
  const onOpen = useCallback((stream: string, isOpen: boolean) => {
    setOpen(
      (before) => new Set(isOpen ? [...before, stream] : [...before].filter((name) => name !== stream)),
    );
  }, []);
  const onChangeStream = useCallback(
    (changed: StreamDraft) =>
      onChange((before) => before.map((each) => (each.stream === changed.stream ? changed : each))),
    [onChange],
  );
  const only = present.length === 1 ? present[0]! : null;
  const hasOwnProblem = present.length > 1 && Object.keys(problemsOf(present)).length > 0;
  const goOn = () => {
    onChange((before) => before.filter(({ stream }) => infos.has(stream)));
    onDone();
  };
  return (
    <div className="grid gap-4">
      {listError && (
        <p role="alert" className="text-bad">
          {listError}
        </p>
      )}
      {hasFilter && <FilterFields filter={filter} streams={streams} selected={selected} failing={failing} />}
      <StreamTable
        streams={filter.matches}
        chosen={byName}
        open={open}
        errors={problems}
        onToggleAll={(isChosen) =>
          onChange((before) => (isChosen ? addStreams : removeStreams)(before, filter.matches))
        }
        onToggle={onToggle}
        onOpen={onOpen}
        onChange={onChangeStream}
      />
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <p role="status" className="text-soft">
          {formatCount(present.length)} of {countWithNoun(streams.length, "stream")} selected
        </p>
        {present.length > 1 && <ModeOfAll infos={infos} chosen={present} onChange={onChange} />}
      </div>
      {only && (
        <section aria-label={`Settings of ${only.stream}`}>
          <StreamSettings
            key={only.stream}
            info={infos.get(only.stream)!}
            stream={only}
            errors={problems[only.stream] ?? {}}
            hasTable={false}
            onChange={onChangeStream}
          />
        </section>
      )}
      <StepActions
        nextLabel="Continue"
        disabledReason={
          present.length === 0
            ? "Select a stream first"
            : hasOwnProblem
              ? "Give each stream its own table first"
              : null
        }
        onNext={goOn}
      />
    </div>
  );
}

interface ModeProps extends Pick<Props, "chosen" | "onChange"> {
  infos: ReadonlyMap<string, StreamInfo>;
}

/** Sets the sync mode of all selected streams. A stream that does not support it keeps its own. */
function ModeOfAll({ infos, chosen, onChange }: ModeProps) {
  const canBeIncremental = chosen.some(({ stream }) => infos.get(stream)!.sync_modes.includes("incremental"));
  if (!canBeIncremental) return null;
  const setMode = (mode: SyncMode) =>
    onChange((before) =>
      before.map((stream) => {
        const info = infos.get(stream.stream);
        return info ? withSyncMode(stream, info, mode) : stream;
      }),
    );
  return (
    <div
      role="group"
      aria-label="Sync mode of all selected streams"
      className="flex flex-wrap items-center gap-1"
    >
      <span className="text-soft">Set all to</span>
      <Button size="small" onClick={() => setMode("full_refresh")}>
        {SYNC_MODES.full_refresh}
      </Button>
      <Button size="small" onClick={() => setMode("incremental")}>
        {SYNC_MODES.incremental} where possible
      </Button>
    </div>
  );
}
