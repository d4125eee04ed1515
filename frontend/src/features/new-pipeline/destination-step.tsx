import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import type { CatalogueEntry } from "@/api/types";
import { ChosenConnector } from "@/components/connectors/chosen-connector";
import { ConnectorPicker } from "@/components/connectors/connector-picker";
import {
  NewConnectorFields,
  NewConnectorResult,
  TestButton,
  TestResult,
  useNewConnector,
} from "@/components/connectors/new-connector";
import { useChosenKind } from "@/components/connectors/kept-settings";
import { catalogueQuery, useCheckConnector } from "@/components/connectors/queries";
import { Field, TextField } from "@/components/field";
import { LimitFields } from "@/components/limit-fields";
import { WRITE_MODES } from "@/format/modes";
import { useEditableDomains } from "@/session/use-editable-domains";
import { countWithNoun } from "@/format/number";
import {
  withValidWriteMode,
  writeModes,
  type StreamDraft,
  type WriteMode,
} from "@/components/streams/stream-draft";
import { endpointOf, type Draft, type Endpoint } from "./draft";
import { StepActions } from "./step";

type DestinationChoice = Pick<Draft, "destination" | "streams" | "limits">;

const MODE_HINTS: Record<WriteMode, string> = {
  replace: "Each successful run replaces the whole table in one step.",
  append: "Each run adds its records to the table.",
  merge: "A record replaces the row with the same primary key. A record with a new primary key is added.",
};

interface Props {
  draft: Draft;
  /** The server's error messages about the stream, after the pipeline could not be saved. */
  errors: Record<string, string>;
  /** The server's message about the connector, if there is one. */
  connectorError?: string;
  onDone: (choice: DestinationChoice) => void;
}

/** Saves a new destination as a connector, as the first step does with a source. */
export function DestinationStep({ draft, errors, connectorError, onDone }: Props) {
  const { data: catalogue } = useQuery(catalogueQuery("destination"));
  const [saved, setSaved] = useState<Endpoint | null>(draft.destination);
  const { entry: newEntry, choose: chooseKind } = useChosenKind("destination", "new-pipeline.destination");
  const [hasChosen, setHasChosen] = useState(false);
  const [streams, setStreams] = useState(draft.patterns ? [] : draft.streams);
  const [limits, setLimits] = useState(draft.limits);
  const [wasSubmitted, setWasSubmitted] = useState(false);

  function choose(connector: Endpoint | null, entry: CatalogueEntry | null) {
    setSaved(connector);
    chooseKind(entry);
    setHasChosen(true);
    setWasSubmitted(false);
  }
  const entry = newEntry ?? catalogue?.results.find(({ kind }) => kind === saved?.kind);
  const supported = entry?.write_modes;
  const written = streams.map((stream) => withValidWriteMode(stream, supported));
  const only = written.length === 1 ? written[0]! : null;
  const isPossible = written.every((stream) => modesOf(stream, supported).includes(stream.writeMode));
  const step: StepProps = {
    isNew: hasChosen,
    disabledReason: isPossible ? null : "This destination supports none of the write modes of a stream",
    onChooseAnother: () => choose(null, null),
    requireTable: (action) => {
      setWasSubmitted(true);
      if (written.every(({ table }) => table.trim())) action();
    },
    onDone: (destination) =>
      isPossible && onDone({ destination, streams: draft.patterns ? draft.streams : written, limits }),
    children: (
      <>
        {draft.patterns && (
          <p>
            The tables are named by the rule in the step of the streams. The settings below are those of every
            table.
          </p>
        )}
        {!only && !draft.patterns && <Tables before={draft.streams} written={written} />}
        <div className="grid gap-4 sm:grid-cols-2">
          {only && (
            <TableFields
              stream={only}
              modes={modesOf(only, supported)}
              errors={
                wasSubmitted && !only.table.trim() ? { table: "This field is required.", ...errors } : errors
              }
              onChange={(stream) => setStreams([stream])}
            />
          )}
          <LimitFields limits={limits} onChange={setLimits} errors={errors} />
        </div>
      </>
    ),
  };
  if (newEntry) return <NewDestination entry={newEntry} {...step} />;
  if (saved) return <SavedDestination destination={saved} error={connectorError} {...step} />;
  return (
    <ConnectorPicker
      role="destination"
      autoFocus={hasChosen}
      onSelectConnector={(connector) => choose(endpointOf(connector), null)}
      onSelectKind={(chosenEntry) => choose(null, chosenEntry)}
    />
  );
}

function modesOf(stream: StreamDraft, supported?: readonly string[]): WriteMode[] {
  return writeModes(stream.syncMode, stream.primaryKey).filter((mode) => supported?.includes(mode) ?? true);
}

interface TableProps {
  stream: StreamDraft;
  modes: WriteMode[];
  errors: Record<string, string>;
  onChange: (stream: StreamDraft) => void;
}

/** The table of an only stream. The tables of several streams are set in the step of the streams. */
function TableFields({ stream, modes, errors, onChange }: TableProps) {
  return (
    <>
      <TextField
        label="Destination table"
        value={stream.table}
        onChange={({ target }) => onChange({ ...stream, table: target.value })}
        error={errors.table}
        maxLength={200}
      />
      <Field label="Write mode" hint={MODE_HINTS[stream.writeMode]} error={errors.write_mode}>
        {(control) => (
          <select
            className="control"
            {...control}
            value={stream.writeMode}
            onChange={({ target }) => onChange({ ...stream, writeMode: target.value as WriteMode })}
          >
            {modes.map((value) => (
              <option key={value} value={value}>
                {WRITE_MODES[value]}
              </option>
            ))}
          </select>
        )}
      </Field>
    </>
  );
}

/** Says how many tables are written, and whether this destination needs other write modes than those chosen before. */
function Tables({ before, written }: { before: StreamDraft[]; written: StreamDraft[] }) {
  const changed = written.filter(({ writeMode }, number) => writeMode !== before[number]!.writeMode);
  const modes = [...new Set(changed.map(({ writeMode }) => WRITE_MODES[writeMode]))].join(" or ");
  return (
    <div className="grid gap-1">
      <p>
        {countWithNoun(written.length, "table")}, named in the step of the streams. The settings below are
        those of every table.
      </p>
      {changed.length > 0 && (
        <p role="status" className="text-wait">
          {countWithNoun(changed.length, "stream")} will be written with the mode {modes}, because this
          destination does not support the mode that you chose.
        </p>
      )}
    </div>
  );
}

interface StepProps {
  isNew: boolean;
  disabledReason: string | null;
  onChooseAnother: () => void;
  /** Calls the action if the name of the table is not empty. */
  requireTable: (action: () => void) => void;
  onDone: (destination: Endpoint) => void;
  /** The fields of the table. */
  children: ReactNode;
}

function SavedDestination({
  destination,
  error,
  children,
  ...step
}: StepProps & { destination: Endpoint; error?: string }) {
  const check = useCheckConnector(destination.connectorId);
  return (
    <ChosenConnector
      title={destination.label}
      text="Saved destination"
      isNew={step.isNew}
      onChooseAnother={step.onChooseAnother}
    >
      {error && (
        <p role="alert" className="text-bad">
          {error}
        </p>
      )}
      {children}
      <TestResult steps={check.data?.steps} error={check.error} />
      <StepActions
        nextLabel="Continue"
        disabledReason={step.disabledReason}
        onNext={() => step.requireTable(() => step.onDone(destination))}
      >
        <TestButton isPending={check.isPending} onClick={() => check.mutate(null)} />
      </StepActions>
    </ChosenConnector>
  );
}

function NewDestination({ entry, children, ...step }: StepProps & { entry: CatalogueEntry }) {
  const domains = useEditableDomains("connectors.edit");
  const form = useNewConnector("destination", entry, domains, "new-pipeline.destination");
  return (
    <ChosenConnector
      title={entry.name}
      text="New destination"
      isNew={step.isNew}
      onChooseAnother={step.onChooseAnother}
    >
      <NewConnectorFields form={form} />
      {children}
      <NewConnectorResult form={form} />
      <StepActions
        nextLabel={form.isSaving ? "Saving…" : "Save and continue"}
        disabledReason={form.isSaving ? "Saving" : step.disabledReason}
        onNext={() => step.requireTable(() => form.save((connector) => step.onDone(endpointOf(connector))))}
      >
        <TestButton isPending={form.check.isPending} onClick={form.test} />
      </StepActions>
    </ChosenConnector>
  );
}
