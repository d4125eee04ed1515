import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import { Button } from "@/components/button";
import { Field, TextField } from "@/components/field";
import { LimitFields } from "@/components/limit-fields";
import { ErrorNotice } from "@/components/notice";
import { WRITE_MODES } from "@/format/modes";
import { CheckSteps } from "./check-steps";
import { tableName, writeModes, type Draft, type Endpoint, type WriteMode } from "./draft";
import { EndpointPicker } from "./endpoint-picker";
import { catalogueQuery, useCheckConnector, useCheckSettings } from "./queries";
import { missingFields, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { requiredErrors } from "./source-step";
import { StepActions } from "./step";

type DestinationChoice = Pick<Draft, "destination" | "table" | "writeMode" | "limits">;

const MODE_HINTS: Record<WriteMode, string> = {
  replace: "Each successful run replaces the whole table in one step.",
  append: "Each run adds its records to the table.",
  merge: "A record replaces the row with the same primary key. A record with a new primary key is added.",
};

interface Props {
  draft: Draft;
  /** The server's error messages about the destination and the stream, after the pipeline could not be saved. */
  errors: Record<string, string>;
  onDone: (choice: DestinationChoice) => void;
}

export function DestinationStep({ draft, errors, onDone }: Props) {
  const { data: catalogue } = useQuery(catalogueQuery("destination"));
  const [endpoint, setEndpoint] = useState<Endpoint | null>(draft.destination);
  const [table, setTable] = useState(draft.table || tableName(draft.stream));
  const [selectedMode, setSelectedMode] = useState<WriteMode>(draft.writeMode);
  const [limits, setLimits] = useState(draft.limits);
  const [wasSubmitted, setWasSubmitted] = useState(false);
  const checkSettings = useCheckSettings("destination");
  const checkConnector = useCheckConnector();

  const entry = catalogue?.results.find(({ kind }) => kind === endpoint?.kind);
  const modes = writeModes(draft.syncMode, draft.primaryKey).filter(
    (mode) => entry?.write_modes.includes(mode) ?? true,
  );
  const mode = modes.includes(selectedMode) ? selectedMode : modes[0];
  const schema = endpoint && !endpoint.connectorId && entry ? (entry.config_schema as Schema) : null;
  const missingPaths = schema ? missingFields(schema, schema, endpoint!.config) : [];
  const check = endpoint?.connectorId ? checkConnector : checkSettings;
  const settingErrors = {
    ...messagesBelow(errors, "config"),
    ...messagesBelow(fieldMessages(checkSettings.error), "config"),
    ...(wasSubmitted ? requiredErrors(missingPaths) : {}),
  };

  function runIfComplete(action: () => void) {
    setWasSubmitted(true);
    if (missingPaths.length === 0) action();
  }
  function selectEndpoint(next: Endpoint) {
    setEndpoint(next);
    setWasSubmitted(false);
    checkSettings.reset();
    checkConnector.reset();
  }
  return (
    <div className="grid gap-5">
      <EndpointPicker
        role="destination"
        connectorId={endpoint?.connectorId ?? null}
        kind={endpoint?.kind ?? null}
        onSelectConnector={({ id, kind, name }) =>
          selectEndpoint({ connectorId: id, kind, config: {}, label: name })
        }
        onSelectKind={({ kind, name }) =>
          selectEndpoint({ connectorId: null, kind, config: {}, label: name })
        }
      />
      {endpoint && (
        <>
          {schema && (
            <SchemaForm
              key={endpoint.kind}
              schema={schema}
              value={endpoint.config}
              onChange={(config) => setEndpoint({ ...endpoint, config })}
              errors={settingErrors}
            />
          )}
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
          {check.data && <CheckSteps steps={check.data.steps} />}
          {check.error && <ErrorNotice error={check.error} />}
          <StepActions
            nextLabel="Continue"
            disabledReason={mode ? null : "This destination supports none of the write modes of this stream"}
            onNext={() =>
              runIfComplete(
                () =>
                  table.trim() &&
                  mode &&
                  onDone({ destination: endpoint, table: table.trim(), writeMode: mode, limits }),
              )
            }
          >
            <Button
              disabledReason={check.isPending ? "Testing" : null}
              onClick={() =>
                runIfComplete(() =>
                  endpoint.connectorId
                    ? checkConnector.mutate(endpoint.connectorId)
                    : checkSettings.mutate(endpoint),
                )
              }
            >
              {check.isPending ? "Testing…" : "Test connection"}
            </Button>
          </StepActions>
        </>
      )}
    </div>
  );
}
