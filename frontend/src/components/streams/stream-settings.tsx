import { useState } from "react";
import type { StreamInfo } from "@/api/types";
import { ContractField } from "@/components/contract-field";
import { Field, TextField } from "@/components/field";
import { NO_RULES } from "@/format/fields";
import { SYNC_MODE_HINTS, SYNC_MODES, WRITE_MODES } from "@/format/modes";
import { RulesOnDemand } from "./rules-on-demand";
import {
  withValidWriteMode,
  writeModes,
  type StreamDraft,
  type SyncMode,
  type WriteMode,
} from "./stream-draft";
import { withSyncMode, type FieldErrors } from "./stream-choice";

const TABLE_FIELDS = ["table", "write_mode"];

interface Props {
  info: StreamInfo;
  stream: StreamDraft;
  errors: FieldErrors;
  /** The rule that makes the name of the table, if the stream has none of its own. */
  naming?: string;
  /** Whether the table is set here. The table of an only stream is set in the step of the destination. */
  hasTable: boolean;
  onChange: (stream: StreamDraft) => void;
}

/** How one stream is read, and where its records are written. */
export function StreamSettings({ info, stream, naming, errors, hasTable, onChange }: Props) {
  const hasCursor = stream.syncMode === "incremental" && info.cursor_fields.length > 0;
  const fields = [
    "sync_mode",
    "primary_key",
    "contract",
    "fields",
    ...(hasCursor ? ["cursor_field"] : []),
    ...(hasTable ? TABLE_FIELDS : []),
  ];
  const otherErrors = Object.entries(errors).filter(([field]) => !fields.includes(field));
  return (
    <div className="grid gap-3">
      {otherErrors.map(([field, message]) => (
        <p key={field} role="alert" className="text-bad">
          {message}
        </p>
      ))}
      <div className="grid gap-4 sm:grid-cols-2">
        <SyncModeField info={info} stream={stream} error={errors.sync_mode} onChange={onChange} />
        {hasCursor && (
          <CursorField info={info} stream={stream} error={errors.cursor_field} onChange={onChange} />
        )}
        <PrimaryKeyField stream={stream} error={errors.primary_key} onChange={onChange} />
        {hasTable && (
          <>
            <TextField
              label="Destination table"
              optional={Boolean(naming)}
              placeholder={naming}
              value={stream.table}
              error={errors.table}
              maxLength={127}
              spellCheck={false}
              onChange={({ target }) => onChange({ ...stream, table: target.value })}
            />
            <Field label="Write mode" error={errors.write_mode}>
              {(control) => (
                <select
                  className="control"
                  {...control}
                  value={stream.writeMode}
                  onChange={({ target }) => onChange({ ...stream, writeMode: target.value as WriteMode })}
                >
                  {writeModes(stream.syncMode, stream.primaryKey).map((mode) => (
                    <option key={mode} value={mode}>
                      {WRITE_MODES[mode]}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          </>
        )}
        <ContractField
          contract={stream.contract ?? "evolve"}
          error={errors.contract}
          onChange={(contract) => onChange({ ...stream, contract })}
        />
      </div>
      <RulesOnDemand
        label={`Fields of ${info.name}`}
        fields={stream.fields ?? NO_RULES}
        known={info.fields.map(({ name }) => name)}
        error={errors.fields}
        onChange={(fields) => onChange({ ...stream, fields })}
      />
    </div>
  );
}

type FieldProps = Pick<Props, "info" | "stream" | "onChange"> & { error?: string };

function SyncModeField({ info, stream, error, onChange }: FieldProps) {
  const hasChoice = info.sync_modes.length > 1;
  return (
    <Field
      label="Sync mode"
      hint={hasChoice ? SYNC_MODE_HINTS[stream.syncMode] : `This stream supports ${onlyMode(stream)} only.`}
      error={error}
    >
      {(control) => (
        <select
          className="control"
          {...control}
          value={stream.syncMode}
          disabled={!hasChoice}
          onChange={({ target }) => onChange(withSyncMode(stream, info, target.value as SyncMode))}
        >
          {info.sync_modes.map((mode) => (
            <option key={mode} value={mode}>
              {SYNC_MODES[mode]}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function onlyMode({ syncMode }: StreamDraft): string {
  return syncMode === "full_refresh" ? "full refresh" : "incremental reads";
}

function CursorField({ info, stream, error, onChange }: FieldProps) {
  return (
    <Field
      label="Cursor column"
      hint="A column whose values only increase, such as the time of the last change."
      error={error}
    >
      {(control) => (
        <select
          className="control"
          {...control}
          value={stream.cursorField ?? ""}
          onChange={({ target }) => onChange({ ...stream, cursorField: target.value })}
        >
          {info.cursor_fields.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

function PrimaryKeyField({ stream, error, onChange }: Omit<FieldProps, "info">) {
  // The text that is typed: the comma of "id, " must not be removed.
  const [text, setText] = useState(stream.primaryKey.join(", "));
  function change(typed: string) {
    setText(typed);
    const columns = typed.split(",").map((column) => column.trim());
    const primaryKey = [...new Set(columns.filter(Boolean))];
    onChange(withValidWriteMode({ ...stream, primaryKey }));
  }
  return (
    <TextField
      label="Primary key"
      optional
      hint="The columns that identify a record, separated by commas."
      value={text}
      error={error}
      spellCheck={false}
      onChange={({ target }) => change(target.value)}
    />
  );
}
