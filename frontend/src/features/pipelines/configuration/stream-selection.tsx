import { useQuery } from "@tanstack/react-query";
import { useCallback, useId, useMemo, useState } from "react";
import type { StreamInfo } from "@/api/types";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { streamsQuery } from "@/components/streams/queries";
import { RefreshStreams } from "@/components/streams/refresh-streams";
import { addStreams, type FieldErrors } from "@/components/streams/stream-choice";
import type { StreamDraft } from "@/components/streams/stream-draft";
import { FilterFields, useFilter } from "@/components/streams/stream-filter";
import { StreamTable } from "@/components/streams/stream-table";
import type { Values } from "@/format/merge";
import {
  ADDED,
  addedStreams,
  keptStreams,
  parseList,
  REMOVED,
  savedStreams,
  streamValues,
  type StreamValues,
} from "./values";

interface Props {
  values: Values;
  errors: Record<string, string>;
  /** The source's saved connector, whose streams are offered. */
  connectorId: string;
  onChange: (changes: Values) => void;
  onChangeStream: (stream: string, changes: Partial<StreamValues>) => void;
}

/** The table of all streams of the source, in which streams are added to the pipeline or removed from it. */
export function StreamSelection(props: Props) {
  const titleId = useId();
  const [isOpen, setIsOpen] = useState(addedStreams(props.values).length > 0);
  return (
    <section aria-labelledby={titleId} data-setting="stream" className="card min-w-0 p-4">
      <details open={isOpen} onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
        <summary className="rounded-card">
          <h2 id={titleId} className="inline font-semibold">
            Add or remove streams
          </h2>
        </summary>
        <div className="mt-3">{isOpen && <Selection {...props} />}</div>
      </details>
    </section>
  );
}

function Selection({ connectorId, ...props }: Props) {
  const { data, error, refetch, isPending } = useQuery(streamsQuery(connectorId));
  if (error) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeletons rows={4} />;
  if (data.failure) return <FailureNotice {...data.failure} retry={() => void refetch()} />;
  return (
    <div className="grid gap-3">
      <RefreshStreams connectorId={connectorId} foundAt={data.found_at} />
      <SelectionTable streams={data.streams} {...props} />
    </div>
  );
}

type TableProps = Omit<Props, "connectorId"> & { streams: StreamInfo[] };

function SelectionTable({ streams, values, errors, onChange, onChangeStream }: TableProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const added = addedStreams(values);
  const naming = (values.naming as string).trim();
  const chosen = useMemo(() => chosenStreams(values), [values]);
  const saved = savedStreams(values);
  const failing = [...chosen.keys()].filter((stream) => errorsOf(errors, stream));
  const filter = useFilter(streams, failing);
  function toggle(infos: StreamInfo[], isChosen: boolean) {
    const names = new Set(infos.map(({ name }) => name));
    const others = infos.filter(({ name }) => !saved.includes(name) && !chosen.has(name));
    const removed = (values[REMOVED] as string[]).filter((name) => !names.has(name));
    onChange({
      [REMOVED]: isChosen ? removed : [...removed, ...saved.filter((name) => names.has(name))],
      [ADDED]: isChosen
        ? addStreams([...chosen.values()], others, naming).filter(({ stream }) => !saved.includes(stream))
        : added.filter(({ stream }) => !names.has(stream)),
    });
  }
  const changeOne = (stream: StreamDraft) =>
    saved.includes(stream.stream)
      ? onChangeStream(stream.stream, changesOf(stream))
      : onChange({ [ADDED]: added.map((each) => (each.stream === stream.stream ? stream : each)) });
  const onOpen = useCallback(
    (stream: string, isOpen: boolean) =>
      setOpen(
        (before) => new Set(isOpen ? [...before, stream] : [...before].filter((name) => name !== stream)),
      ),
    [],
  );
  return (
    <>
      <FilterFields filter={filter} streams={streams} selected={[...chosen.keys()]} failing={failing} />
      <StreamTable
        streams={filter.matches}
        chosen={chosen}
        naming={naming}
        open={open}
        errors={Object.fromEntries(failing.map((stream) => [stream, errorsOf(errors, stream)!]))}
        onToggleAll={(isChosen) => toggle(filter.matches, isChosen)}
        onToggle={(info, isChosen) => toggle([info], isChosen)}
        onOpen={onOpen}
        onChange={changeOne}
      />
    </>
  );
}

/** The streams that the pipeline will have, as the table shows them. */
function chosenStreams(values: Values): ReadonlyMap<string, StreamDraft> {
  const kept = keptStreams(values).map((stream) => draftOf(stream, streamValues(values, stream)));
  return new Map([...kept, ...addedStreams(values)].map((stream) => [stream.stream, stream]));
}

function draftOf(stream: string, values: StreamValues): StreamDraft {
  return {
    stream,
    syncMode: values.sync_mode,
    cursorField: values.cursor_field || null,
    primaryKey: parseList(values.primary_key),
    table: values.table,
    writeMode: values.write_mode,
    contract: values.contract,
    fields: values.fields,
  };
}

function changesOf(stream: StreamDraft): Partial<StreamValues> {
  return {
    sync_mode: stream.syncMode,
    cursor_field: stream.cursorField ?? "",
    primary_key: stream.primaryKey.join(", "),
    table: stream.table,
    write_mode: stream.writeMode,
    ...(stream.contract && { contract: stream.contract }),
    ...(stream.fields && { fields: stream.fields }),
  };
}

/** The server's messages about one stream by field, or null. */
function errorsOf(errors: Record<string, string>, stream: string): FieldErrors | null {
  const suffix = `/${stream}`;
  const own = Object.entries(errors)
    .filter(([field]) => field.startsWith("streams/") && field.endsWith(suffix))
    .map(([field, message]) => [field.slice("streams/".length, -suffix.length), message]);
  return own.length > 0 ? (Object.fromEntries(own) as FieldErrors) : null;
}
