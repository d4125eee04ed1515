import { useState } from "react";
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
import { useCheckConnector } from "@/components/connectors/queries";
import { useEditableDomains } from "@/session/use-editable-domains";
import { endpointOf, type Endpoint } from "./draft";
import { StepActions } from "./step";

interface Props {
  source: Endpoint | null;
  onDone: (source: Endpoint) => void;
}

/** Saves a new source as a connector, because the API lists streams of saved connectors only. */
export function SourceStep({ source, onDone }: Props) {
  const [saved, setSaved] = useState(source);
  const kind = useChosenKind("source", "new-pipeline.source");
  const [hasChosen, setHasChosen] = useState(false);

  function choose(connector: Endpoint | null, newEntry: CatalogueEntry | null) {
    setSaved(connector);
    kind.choose(newEntry);
    setHasChosen(true);
  }
  const chooseAnother = () => choose(null, null);
  if (kind.entry) return <NewSource entry={kind.entry} onChooseAnother={chooseAnother} onDone={onDone} />;
  if (saved)
    return <SavedSource source={saved} isNew={hasChosen} onChooseAnother={chooseAnother} onDone={onDone} />;
  return (
    <ConnectorPicker
      role="source"
      autoFocus={hasChosen}
      onSelectConnector={(connector) => choose(endpointOf(connector), null)}
      onSelectKind={(newEntry) => choose(null, newEntry)}
    />
  );
}

interface SavedProps {
  source: Endpoint;
  isNew: boolean;
  onChooseAnother: () => void;
  onDone: (source: Endpoint) => void;
}

function SavedSource({ source, isNew, onChooseAnother, onDone }: SavedProps) {
  const check = useCheckConnector(source.connectorId);
  return (
    <ChosenConnector title={source.label} text="Saved source" isNew={isNew} onChooseAnother={onChooseAnother}>
      <TestResult steps={check.data?.steps} error={check.error} />
      <StepActions nextLabel="Continue" onNext={() => onDone(source)}>
        <TestButton isPending={check.isPending} onClick={() => check.mutate(null)} />
      </StepActions>
    </ChosenConnector>
  );
}

interface NewProps {
  entry: CatalogueEntry;
  onChooseAnother: () => void;
  onDone: (source: Endpoint) => void;
}

function NewSource({ entry, onChooseAnother, onDone }: NewProps) {
  const form = useNewConnector("source", entry, useEditableDomains("connectors.edit"), "new-pipeline.source");
  return (
    <ChosenConnector title={entry.name} text="New source" isNew onChooseAnother={onChooseAnother}>
      <NewConnectorFields form={form} />
      <NewConnectorResult form={form} />
      <StepActions
        nextLabel={form.isSaving ? "Saving…" : "Save and continue"}
        disabledReason={form.isSaving ? "Saving" : null}
        onNext={() => form.save((connector) => onDone(endpointOf(connector)))}
      >
        <TestButton isPending={form.check.isPending} onClick={form.test} />
      </StepActions>
    </ChosenConnector>
  );
}
