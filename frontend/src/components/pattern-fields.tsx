import { useId } from "react";
import { SYNC_MODES, WRITE_MODES } from "@/format/modes";
import { NEW_STREAMS, patternWriteModes, type NewStreams, type PatternValues } from "@/format/patterns";
import { Field, TextField } from "./field";

interface Props {
  values: PatternValues;
  onChange: (values: PatternValues) => void;
  /** Messages by the field of the definition, such as `patterns.match` or `naming`. */
  errors: Record<string, string>;
  /** Columns that could be the cursor, as suggestions. */
  cursorFields?: string[];
}

const NEW_STREAM_HINTS: Record<NewStreams, string> = {
  add: "A new stream that matches is read from the next run on.",
  ask: "A new stream that matches waits on the pipeline's page until somebody adds or ignores it.",
  ignore:
    "Only the streams that match at the first run are read. New ones can be added on the pipeline's page.",
};

/** The patterns, and the settings of all streams that they choose. */
export function PatternFields({ values, onChange, errors, cursorFields = [] }: Props) {
  const change = (changes: Partial<PatternValues>) => onChange({ ...values, ...changes });
  const matchError = Object.entries(errors).find(([field]) =>
    /^patterns(\.match(\.\d+)?)?$/.test(field),
  )?.[1];
  return (
    <div className="grid gap-4">
      <Field
        label="Patterns"
        hint="One per line. * stands for any characters and ? for one; ! excludes. Names include the schema: public.* or !*_tmp."
        error={matchError}
      >
        {(control) => (
          <textarea
            className="control h-24! resize-y py-1.5 font-mono"
            {...control}
            value={values.match}
            spellCheck={false}
            placeholder={"public.*\n!*_tmp"}
            onChange={({ target }) => change({ match: target.value })}
          />
        )}
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <ModeFields values={values} change={change} errors={errors} cursorFields={cursorFields} />
        <TextField
          label="Destination tables"
          optional
          hint="{schema} and {table} are replaced for each stream: raw_{table} adds a prefix, and raw.{table} writes to the schema raw. Blank: schema and name, such as sales_orders."
          placeholder="{schema}_{table}"
          value={values.naming}
          error={errors.naming}
          maxLength={127}
          spellCheck={false}
          onChange={({ target }) => change({ naming: target.value })}
        />
        <Field label="New streams" hint={NEW_STREAM_HINTS[values.newStreams]} error={errors.new_streams}>
          {(control) => (
            <select
              className="control"
              {...control}
              value={values.newStreams}
              onChange={({ target }) => change({ newStreams: target.value as NewStreams })}
            >
              {Object.entries(NEW_STREAMS).map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
    </div>
  );
}

interface ModeProps extends Required<Pick<Props, "values" | "errors" | "cursorFields">> {
  change: (changes: Partial<PatternValues>) => void;
}

function ModeFields({ values, change, errors, cursorFields }: ModeProps) {
  const listId = useId();
  const isIncremental = values.syncMode === "incremental";
  return (
    <>
      <Field
        label="Sync mode"
        hint={
          isIncremental
            ? "Streams without the cursor column are read completely and replaced."
            : "Each run reads all records."
        }
        error={errors["patterns.sync_mode"]}
      >
        {(control) => (
          <select
            className="control"
            {...control}
            value={values.syncMode}
            onChange={({ target }) =>
              change({ syncMode: target.value as PatternValues["syncMode"], writeMode: "" })
            }
          >
            <option value="full_refresh">{SYNC_MODES.full_refresh}</option>
            <option value="incremental">{SYNC_MODES.incremental} where possible</option>
          </select>
        )}
      </Field>
      {isIncremental && (
        <>
          <TextField
            label="Cursor column"
            hint="A column whose values only increase, such as the time of the last change."
            list={listId}
            value={values.cursorField}
            error={errors["patterns.cursor_field"]}
            maxLength={200}
            spellCheck={false}
            onChange={({ target }) => change({ cursorField: target.value })}
          />
          <datalist id={listId}>
            {cursorFields.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </>
      )}
      <Field label="Write mode" error={errors["patterns.write_mode"]}>
        {(control) => (
          <select
            className="control"
            {...control}
            value={values.writeMode}
            onChange={({ target }) => change({ writeMode: target.value as PatternValues["writeMode"] })}
          >
            <option value="">{isIncremental ? "Merge, or append without a primary key" : "Default"}</option>
            {patternWriteModes(values.syncMode).map((mode) => (
              <option key={mode} value={mode}>
                {WRITE_MODES[mode]}
              </option>
            ))}
          </select>
        )}
      </Field>
    </>
  );
}
