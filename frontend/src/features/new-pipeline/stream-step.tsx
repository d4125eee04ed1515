import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { StreamInfo } from "@/api/types";
import { Button } from "@/components/button";
import { Field } from "@/components/field";
import { EmptyState, ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { SYNC_MODES } from "@/format/modes";
import { countWithNoun } from "@/format/number";
import type { Draft, SyncMode } from "./draft";
import { Choice } from "./choice";
import { streamsQuery } from "./queries";
import { StepActions } from "./step";

type StreamChoice = Pick<Draft, "stream" | "syncMode" | "cursorField" | "primaryKey">;

const MAX_SHOWN_STREAMS = 60;

const MODE_HINTS: Record<SyncMode, string> = {
  full_refresh: "Each run reads all records.",
  incremental: "Each run reads only the records that are new since the last run.",
};

export function StreamStep({
  connectorId,
  onDone,
}: {
  connectorId: string;
  onDone: (choice: StreamChoice) => void;
}) {
  const { data, error, refetch, isPending } = useQuery(streamsQuery(connectorId));
  const [searchText, setSearchText] = useState("");
  const [selected, setSelected] = useState<StreamInfo | null>(null);
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
  const matches = data.streams.filter(({ name }) => name.toLowerCase().includes(searchText.toLowerCase()));
  return (
    <div className="grid gap-4">
      {data.streams.length > 6 && (
        <input
          data-search
          type="search"
          aria-label="Search streams"
          placeholder={`Search ${countWithNoun(data.streams.length, "stream")}`}
          className="control sm:w-72!"
          value={searchText}
          onChange={({ target }) => setSearchText(target.value)}
        />
      )}
      <fieldset>
        <legend className="sr-only">Stream</legend>
        <div className="grid gap-2 sm:grid-cols-2 @3xl/page:grid-cols-3">
          {matches.slice(0, MAX_SHOWN_STREAMS).map((stream) => (
            <Choice
              key={stream.name}
              group="stream"
              title={stream.name}
              text={fieldsInWords(stream)}
              checked={selected?.name === stream.name}
              onChoose={() => setSelected(stream)}
            />
          ))}
        </div>
      </fieldset>
      {matches.length > MAX_SHOWN_STREAMS && (
        <p className="text-soft">
          Only the first {MAX_SHOWN_STREAMS} streams are shown. Search to find another stream.
        </p>
      )}
      {selected && <StreamSettings key={selected.name} stream={selected} onDone={onDone} />}
    </div>
  );
}

function fieldsInWords({ fields }: StreamInfo): string {
  if (fields.length === 0) return "The fields are known after the first run";
  const names = fields.map(({ name }) => name);
  return names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
}

function StreamSettings({ stream, onDone }: { stream: StreamInfo; onDone: (choice: StreamChoice) => void }) {
  const cursorFields = stream.cursor_fields;
  const supportsIncremental = stream.sync_modes.includes("incremental");
  const [syncMode, setSyncMode] = useState<SyncMode>("full_refresh");
  const [cursor, setCursor] = useState(cursorFields[0] ?? "");
  return (
    <div className="grid gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <Field
          label="Sync mode"
          hint={supportsIncremental ? MODE_HINTS[syncMode] : "This stream supports full refresh only."}
        >
          {(control) => (
            <select
              className="control"
              {...control}
              value={syncMode}
              disabled={!supportsIncremental}
              onChange={({ target }) => setSyncMode(target.value as SyncMode)}
            >
              <option value="full_refresh">{SYNC_MODES.full_refresh}</option>
              {supportsIncremental && <option value="incremental">{SYNC_MODES.incremental}</option>}
            </select>
          )}
        </Field>
        {syncMode === "incremental" && cursorFields.length > 0 && (
          <Field
            label="Cursor column"
            hint="A column whose values only increase, such as the time of the last change."
          >
            {(control) => (
              <select
                className="control"
                {...control}
                value={cursor}
                onChange={({ target }) => setCursor(target.value)}
              >
                {cursorFields.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            )}
          </Field>
        )}
      </div>
      <StepActions
        nextLabel="Continue"
        onNext={() =>
          onDone({
            stream: stream.name,
            syncMode,
            cursorField: syncMode === "incremental" ? cursor || null : null,
            primaryKey: stream.primary_key,
          })
        }
      />
    </div>
  );
}
