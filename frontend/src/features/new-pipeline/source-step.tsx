import { useState } from "react";
import type { CatalogueEntry } from "@/api/types";
import { fieldMessages, messagesBelow, nameTaken } from "@/api/problem";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { CheckSteps } from "./check-steps";
import type { End } from "./draft";
import { EndPicker } from "./end-picker";
import { useCheckConnector, useCheckSettings, useSaveConnector } from "./queries";
import { missing, type Config, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { nameInWords } from "@/format/name";
import { StepActions } from "./step";

interface Props {
  source: End | null;
  onDone: (source: End) => void;
}

/** A new source is saved as a connector, because its streams are listed from a saved connector. */
export function SourceStep({ source, onDone }: Props) {
  const [connectorId, setConnectorId] = useState(source?.connectorId ?? null);
  const [entry, setEntry] = useState<CatalogueEntry | null>(null);
  const [kind, setKind] = useState(source?.kind ?? null);
  const [label, setLabel] = useState(source?.label ?? "");
  return (
    <div className="grid gap-5">
      <EndPicker
        role="source"
        connectorId={connectorId}
        kind={kind}
        onConnector={(connector) => {
          setConnectorId(connector.id);
          setKind(connector.kind);
          setLabel(connector.name);
          setEntry(null);
        }}
        onKind={(chosen) => {
          setConnectorId(null);
          setKind(chosen.kind);
          setEntry(chosen);
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
      <StepActions next="Continue" onNext={onDone}>
        <Button blocked={check.isPending ? "Testing" : null} onClick={() => check.mutate(id)}>
          {check.isPending ? "Testing…" : "Test connection"}
        </Button>
      </StepActions>
    </div>
  );
}

function NewSource({ entry, onDone }: { entry: CatalogueEntry; onDone: (source: End) => void }) {
  const schema = entry.config_schema as Schema;
  const [config, setConfig] = useState<Config>({});
  const [name, setName] = useState(entry.name);
  const [tried, setTried] = useState(false);
  const check = useCheckSettings("source");
  const save = useSaveConnector("source");

  const empty = missing(schema, schema, config);
  const messages = fieldMessages(save.error ?? check.error);
  const errors = { ...messagesBelow(messages, "config"), ...(tried ? asRequired(empty) : {}) };
  const general = save.error ?? check.error;

  function attempt(action: () => void) {
    setTried(true);
    if (empty.length === 0) action();
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
        error={messages.name ?? nameTaken(save.error)}
        maxLength={120}
        required
      />
      {check.data && <CheckSteps steps={check.data.steps} />}
      {general && !nameTaken(general) && <ErrorNotice error={general} />}
      {tried && empty.length > 0 && (
        <p role="alert" className="text-bad">
          Fill in the required fields: {empty.map((path) => nameInWords(path.split(".").at(-1)!)).join(", ")}.
        </p>
      )}
      <StepActions
        next={save.isPending ? "Saving…" : "Save and continue"}
        blocked={save.isPending ? "Saving" : null}
        onNext={() =>
          attempt(() =>
            save.mutate(
              { ...settings, name: name.trim() },
              {
                onSuccess: (made) =>
                  onDone({ connectorId: made.id, kind: made.kind, config: {}, label: made.name }),
              },
            ),
          )
        }
      >
        <Button
          blocked={check.isPending ? "Testing" : null}
          onClick={() => attempt(() => check.mutate(settings))}
        >
          {check.isPending ? "Testing…" : "Test connection"}
        </Button>
      </StepActions>
    </div>
  );
}

export function asRequired(paths: string[]): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, "This field is required."]));
}
