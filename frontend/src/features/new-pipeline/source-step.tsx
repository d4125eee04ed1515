import { useState } from "react";
import type { CatalogueEntry } from "@/api/types";
import { fieldMessages, messagesBelow, nameTakenMessage } from "@/api/problem";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { CheckSteps } from "./check-steps";
import type { Endpoint } from "./draft";
import { EndpointPicker } from "./endpoint-picker";
import { useCheckConnector, useCheckSettings, useSaveConnector } from "./queries";
import { missingFields, type Config, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { nameInWords } from "@/format/name";
import { StepActions } from "./step";

interface Props {
  source: Endpoint | null;
  onDone: (source: Endpoint) => void;
}

/** Saves a new source as a connector, because the API lists streams of saved connectors only. */
export function SourceStep({ source, onDone }: Props) {
  const [connectorId, setConnectorId] = useState(source?.connectorId ?? null);
  const [entry, setEntry] = useState<CatalogueEntry | null>(null);
  const [kind, setKind] = useState(source?.kind ?? null);
  const [label, setLabel] = useState(source?.label ?? "");
  return (
    <div className="grid gap-5">
      <EndpointPicker
        role="source"
        connectorId={connectorId}
        kind={kind}
        onSelectConnector={(connector) => {
          setConnectorId(connector.id);
          setKind(connector.kind);
          setLabel(connector.name);
          setEntry(null);
        }}
        onSelectKind={(newEntry) => {
          setConnectorId(null);
          setKind(newEntry.kind);
          setEntry(newEntry);
        }}
      />
      {entry && <NewSource key={entry.kind} entry={entry} onDone={onDone} />}
      {connectorId && kind && (
        <SavedSource
          key={connectorId}
          id={connectorId}
          onDone={() => onDone({ connectorId, kind, config: {}, label })}
        />
      )}
    </div>
  );
}

function SavedSource({ id, onDone }: { id: string; onDone: () => void }) {
  const check = useCheckConnector();
  return (
    <div className="grid gap-4">
      {check.data && <CheckSteps steps={check.data.steps} />}
      {check.error && <ErrorNotice error={check.error} />}
      <StepActions nextLabel="Continue" onNext={onDone}>
        <Button disabledReason={check.isPending ? "Testing" : null} onClick={() => check.mutate(id)}>
          {check.isPending ? "Testing…" : "Test connection"}
        </Button>
      </StepActions>
    </div>
  );
}

function NewSource({ entry, onDone }: { entry: CatalogueEntry; onDone: (source: Endpoint) => void }) {
  const schema = entry.config_schema as Schema;
  const [config, setConfig] = useState<Config>({});
  const [name, setName] = useState(entry.name);
  const [wasSubmitted, setWasSubmitted] = useState(false);
  const check = useCheckSettings("source");
  const save = useSaveConnector("source");

  const missingPaths = missingFields(schema, schema, config);
  const messages = fieldMessages(save.error ?? check.error);
  const errors = {
    ...messagesBelow(messages, "config"),
    ...(wasSubmitted ? requiredErrors(missingPaths) : {}),
  };
  const requestError = save.error ?? check.error;

  function runIfComplete(action: () => void) {
    setWasSubmitted(true);
    if (missingPaths.length === 0) action();
  }
  const settings = { kind: entry.kind, config };
  return (
    <div className="grid gap-4">
      <h3 className="font-semibold">{entry.name}</h3>
      <SchemaForm schema={schema} value={config} onChange={setConfig} errors={errors} />
      <TextField
        label="Save as"
        hint="Saved as a connector that other pipelines can use too."
        value={name}
        onChange={({ target }) => setName(target.value)}
        error={messages.name ?? nameTakenMessage(save.error)}
        maxLength={120}
        required
      />
      {check.data && <CheckSteps steps={check.data.steps} />}
      {requestError && !nameTakenMessage(requestError) && <ErrorNotice error={requestError} />}
      {wasSubmitted && missingPaths.length > 0 && (
        <p role="alert" className="text-bad">
          Fill in the required fields:{" "}
          {missingPaths.map((path) => nameInWords(path.split(".").at(-1)!)).join(", ")}.
        </p>
      )}
      <StepActions
        nextLabel={save.isPending ? "Saving…" : "Save and continue"}
        disabledReason={save.isPending ? "Saving" : null}
        onNext={() =>
          runIfComplete(() =>
            save.mutate(
              { ...settings, name: name.trim() },
              {
                onSuccess: (created) =>
                  onDone({ connectorId: created.id, kind: created.kind, config: {}, label: created.name }),
              },
            ),
          )
        }
      >
        <Button
          disabledReason={check.isPending ? "Testing" : null}
          onClick={() => runIfComplete(() => check.mutate(settings))}
        >
          {check.isPending ? "Testing…" : "Test connection"}
        </Button>
      </StepActions>
    </div>
  );
}

export function requiredErrors(paths: string[]): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, "This field is required."]));
}
