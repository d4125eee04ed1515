import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import { Button } from "@/components/button";
import { Field, TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { CheckSteps } from "./check-steps";
import { tableName, writeModes, type Draft, type End, type WriteMode } from "./draft";
import { EndPicker } from "./end-picker";
import { catalogueQuery, useCheckConnector, useCheckSettings } from "./queries";
import { missing, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { asRequired } from "./source-step";
import { StepActions } from "./step";

type DestinationChoice = Pick<Draft, "destination" | "table" | "writeMode">;

const MODE_HINTS: Record<WriteMode, string> = {
  replace: "Each successful run replaces the whole table in one step.",
  append: "Each run adds its records to the table.",
  merge: "Records whose primary key is in the table already replace the old ones; others are added.",
};

interface Props {
  draft: Draft;
  /** What the server found wrong with the destination and the stream when the pipeline was saved. */
  errors: Record<string, string>;
  onDone: (choice: DestinationChoice) => void;
}

const MODE_WORDS: Record<WriteMode, string> = {
  replace: "Overwrite table",
  append: "Append",
  merge: "Merge on primary key",
};

export function DestinationStep({ draft, errors, onDone }: Props) {
  const { data: catalogue } = useQuery(catalogueQuery("destination"));
  const [end, setEnd] = useState<End | null>(draft.destination);
  const [table, setTable] = useState(draft.table || tableName(draft.stream));
  const [chosenMode, setMode] = useState<WriteMode>(draft.writeMode);
  const [tried, setTried] = useState(false);
  const checkNew = useCheckSettings("destination");
  const checkSaved = useCheckConnector();

  const entry = catalogue?.results.find(({ kind }) => kind === end?.kind);
  const modes = writeModes(draft.syncMode, draft.primaryKey).filter(
    (each) => entry?.write_modes.includes(each) ?? true,
  );
  const mode = modes.includes(chosenMode) ? chosenMode : modes[0];
  const schema = end && !end.connectorId && entry ? (entry.config_schema as Schema) : null;
  const empty = schema ? missing(schema, schema, end!.config) : [];
  const check = end?.connectorId ? checkSaved : checkNew;
  const settingErrors = {
    ...messagesBelow(errors, "config"),
    ...messagesBelow(fieldMessages(checkNew.error), "config"),
    ...(tried ? asRequired(empty) : {}),
  };

  function attempt(action: () => void) {
    setTried(true);
    if (empty.length === 0) action();
  }
  function choose(next: End) {
    setEnd(next);
    setTried(false);
    checkNew.reset();
    checkSaved.reset();
  }
  return (
    <div className="grid gap-5">
      <EndPicker
        role="destination"
        connectorId={end?.connectorId ?? null}
        kind={end?.kind ?? null}
        onConnector={({ id, kind, name }) => choose({ connectorId: id, kind, config: {}, label: name })}
        onKind={({ kind, name }) => choose({ connectorId: null, kind, config: {}, label: name })}
      />
      {end && (
        <>
          {schema && (
            <SchemaForm
              key={end.kind}
              schema={schema}
              value={end.config}
              onChange={(config) => setEnd({ ...end, config })}
              errors={settingErrors}
            />
          )}
          <div className="grid gap-4 sm:grid-cols-2">
            <TextField
              label="Destination table"
              value={table}
              onChange={({ target }) => setTable(target.value)}
              error={errors.table ?? (tried && !table.trim() ? "This field is required." : null)}
              maxLength={200}
            />
            <Field label="Write mode" hint={mode && MODE_HINTS[mode]} error={errors.write_mode}>
              {(control) => (
                <select
                  className="control"
                  {...control}
                  value={mode}
                  onChange={({ target }) => setMode(target.value as WriteMode)}
                >
                  {modes.map((each) => (
                    <option key={each} value={each}>
                      {MODE_WORDS[each]}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          </div>
          {check.data && <CheckSteps steps={check.data.steps} />}
          {check.error && <ErrorNotice error={check.error} />}
          <StepActions
            next="Continue"
            blocked={mode ? null : "This destination supports none of the write modes of this stream"}
            onNext={() =>
              attempt(
                () =>
                  table.trim() && mode && onDone({ destination: end, table: table.trim(), writeMode: mode }),
              )
            }
          >
            <Button
              blocked={check.isPending ? "Testing" : null}
              onClick={() =>
                attempt(() => (end.connectorId ? checkSaved.mutate(end.connectorId) : checkNew.mutate(end)))
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
