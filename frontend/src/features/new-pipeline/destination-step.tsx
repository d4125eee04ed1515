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
import { catalogueQuery, useCheckConnector } from "@/components/connectors/queries";
import { Field, TextField } from "@/components/field";
import { LimitFields } from "@/components/limit-fields";
import { WRITE_MODES } from "@/format/modes";
import { useEditableDomains } from "@/session/use-editable-domains";
import { endpointOf, tableName, writeModes, type Draft, type Endpoint, type WriteMode } from "./draft";
import { StepActions } from "./step";

type DestinationChoice = Pick<Draft, "destination" | "table" | "writeMode" | "limits">;

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
  const [newEntry, setNewEntry] = useState<CatalogueEntry | null>(null);
  const [hasChosen, setHasChosen] = useState(false);
  const [table, setTable] = useState(draft.table || tableName(draft.stream));
  const [selectedMode, setSelectedMode] = useState<WriteMode>(draft.writeMode);
  const [limits, setLimits] = useState(draft.limits);
  const [wasSubmitted, setWasSubmitted] = useState(false);

  function choose(connector: Endpoint | null, entry: CatalogueEntry | null) {
    setSaved(connector);
    setNewEntry(entry);
    setHasChosen(true);
    setWasSubmitted(false);
  }
  const entry = newEntry ?? catalogue?.results.find(({ kind }) => kind === saved?.kind);
  const modes = writeModes(draft.syncMode, draft.primaryKey).filter(
    (mode) => entry?.write_modes.includes(mode) ?? true,
  );
  const mode = modes.includes(selectedMode) ? selectedMode : modes[0];
  const step: StepProps = {
    isNew: hasChosen,
    disabledReason: mode ? null : "This destination supports none of the write modes of this stream",
    onChooseAnother: () => choose(null, null),
    requireTable: (action) => {
      setWasSubmitted(true);
      if (table.trim()) action();
    },
    onDone: (destination) => mode && onDone({ destination, table: table.trim(), writeMode: mode, limits }),
    children: (
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Destination table"
          value={table}
          onChange={({ target }) => setTable(target.value)}
          error={errors.table ?? (wasSubmitted && !table.trim() ? "This field is required." : null)}
          maxLength={200}
        />
        <Field label="Write mode" hint={mode && MODE_HINTS[mode]} error={errors.write_mode}>
          {(control) => (
            <select
              className="control"
              {...control}
              value={mode}
              onChange={({ target }) => setSelectedMode(target.value as WriteMode)}
            >
              {modes.map((value) => (
                <option key={value} value={value}>
                  {WRITE_MODES[value]}
                </option>
              ))}
            </select>
          )}
        </Field>
        <LimitFields limits={limits} onChange={setLimits} errors={errors} />
      </div>
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
  const form = useNewConnector("destination", entry, useEditableDomains("connectors.edit"));
  const isSaving = form.create.isPending;
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
        nextLabel={isSaving ? "Saving…" : "Save and continue"}
        disabledReason={isSaving ? "Saving" : step.disabledReason}
        onNext={() => step.requireTable(() => form.save((connector) => step.onDone(endpointOf(connector))))}
      >
        <TestButton isPending={form.check.isPending} onClick={form.test} />
      </StepActions>
    </ChosenConnector>
  );
}
