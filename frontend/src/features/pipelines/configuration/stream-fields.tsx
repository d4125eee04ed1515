import { useId, useState } from "react";
import { ChoiceField } from "@/components/choice-field";
import { ContractField } from "@/components/contract-field";
import { TextField } from "@/components/field";
import { LimitFields } from "@/components/limit-fields";
import { useStreamSearch } from "@/components/stream-search";
import { useStreams } from "@/components/streams/queries";
import { SYNC_MODE_HINTS, SYNC_MODES, WRITE_MODES } from "@/format/modes";
import { StreamFieldRules } from "./stream-field-rules";
import { StreamTransform } from "./stream-transform";
import { streamKey, type StreamValues } from "./values";

interface ListProps {
  pipelineId: string;
  streams: string[];
  valuesOf: (stream: string) => StreamValues;
  onChange: (stream: string, changes: Partial<StreamValues>) => void;
  errors: Record<string, string>;
  /** The source's saved connector, which knows the fields of its streams. */
  sourceConnectorId: string | null;
  isChanged: (stream: string) => boolean;
  /** The stream that is open at first. */
  opened?: string;
}

/** The streams of the pipeline, each with its settings. If there are several, one opens at a time. */
export function StreamList({ streams, valuesOf, errors, isChanged, opened, ...props }: ListProps) {
  const titleId = useId();
  const search = useStreamSearch(streams);
  // A stream that the server refuses is shown, so that its message is.
  const refused = streams.filter((stream) =>
    Object.keys(errors).some((field) => field.endsWith(`/${stream}`)),
  );
  const linked = streams.filter((stream) => stream === opened);
  const shown = [...new Set([...refused, ...linked, ...search.shown])];
  const [openStream, setOpenStream] = useState(linked[0] ?? (streams.length === 1 ? streams[0]! : null));
  if (streams.length === 0) return null;
  return (
    <section aria-labelledby={titleId} className="card min-w-0 p-4">
      <h2 id={titleId} className="mb-3 font-semibold">
        {streams.length === 1 ? "Stream" : `Streams (${streams.length})`}
      </h2>
      <div className="mb-3 empty:hidden">{search.field}</div>
      <ul className="grid min-w-0 gap-2">
        {shown.map((stream) => {
          const values = valuesOf(stream);
          const hasError = refused.includes(stream);
          return (
            <li key={stream} data-stream-settings={stream} className="min-w-0">
              <details
                open={openStream === stream || hasError}
                onToggle={({ currentTarget }) => {
                  if (currentTarget.open) setOpenStream(stream);
                  else if (openStream === stream) setOpenStream(null);
                }}
                className="rounded-card border border-line"
              >
                <summary className="rounded-card px-3 py-2 wrap-anywhere hover:bg-hover">
                  <span className="font-medium">{stream}</span>{" "}
                  <span className="text-soft">
                    to {values.table} · {SYNC_MODES[values.sync_mode]} · {WRITE_MODES[values.write_mode]}
                  </span>
                  {isChanged(stream) && <span className="ml-2 text-wait">changed</span>}
                </summary>
                {(openStream === stream || hasError) && (
                  <StreamFields stream={stream} values={values} errors={errors} {...props} />
                )}
              </details>
            </li>
          );
        })}
      </ul>
      <div className="mt-3 empty:hidden">{search.note}</div>
    </section>
  );
}

type FieldsProps = Pick<ListProps, "pipelineId" | "onChange" | "errors" | "sourceConnectorId"> & {
  stream: string;
  values: StreamValues;
};

function StreamFields({ pipelineId, stream, values, onChange, errors, sourceConnectorId }: FieldsProps) {
  const known = useKnownFields(sourceConnectorId, stream);
  const listId = useId();
  const change = (changes: Partial<StreamValues>) => onChange(stream, changes);
  const errorOf = (field: keyof StreamValues) => errors[streamKey(field, stream)];
  return (
    <div className="grid gap-4 border-t border-line p-3">
      <div className="grid gap-4 sm:grid-cols-2">
        <div data-setting="sync_mode">
          <ChoiceField
            label="Sync mode"
            hint={SYNC_MODE_HINTS[values.sync_mode]}
            error={errorOf("sync_mode")}
            words={SYNC_MODES}
            value={values.sync_mode}
            onChange={(mode) => change({ sync_mode: mode as StreamValues["sync_mode"] })}
          />
        </div>
        {values.sync_mode === "incremental" && (
          <div data-setting="cursor_field">
            <TextField
              label="Cursor column"
              optional
              hint="A column whose values only increase, such as the time of the last change."
              list={listId}
              value={values.cursor_field}
              error={errorOf("cursor_field")}
              maxLength={200}
              spellCheck={false}
              onChange={({ target }) => change({ cursor_field: target.value })}
            />
          </div>
        )}
        <div data-setting="primary_key">
          <TextField
            label="Primary key"
            optional
            hint="The columns that identify a record, separated by commas."
            value={values.primary_key}
            error={errorOf("primary_key")}
            spellCheck={false}
            onChange={({ target }) => change({ primary_key: target.value })}
          />
        </div>
        <div data-setting="table">
          <TextField
            label="Destination table"
            value={values.table}
            error={errorOf("table")}
            maxLength={127}
            spellCheck={false}
            onChange={({ target }) => change({ table: target.value })}
          />
        </div>
        <div data-setting="write_mode">
          <ChoiceField
            label="Write mode"
            error={errorOf("write_mode")}
            words={WRITE_MODES}
            value={values.write_mode}
            onChange={(mode) => change({ write_mode: mode as StreamValues["write_mode"] })}
          />
        </div>
        <div data-setting="contract">
          <ContractField
            contract={values.contract}
            error={errorOf("contract")}
            onChange={(contract) => change({ contract })}
          />
        </div>
        <LimitFields
          limits={{ allowEmpty: values.allow_empty, maxRejectedShare: values.max_rejected_share }}
          onChange={({ allowEmpty, maxRejectedShare }) =>
            change({ allow_empty: allowEmpty, max_rejected_share: maxRejectedShare })
          }
          errors={limitErrors(errorOf)}
        />
      </div>
      <datalist id={listId}>
        {known.cursors.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <StreamFieldRules
        pipelineId={pipelineId}
        stream={stream}
        fields={values.fields}
        onChange={(fields) => change({ fields })}
        known={known.names}
        error={errorOf("fields")}
      />
      <div data-setting="transforms" className="min-w-0">
        <StreamTransform
          pipelineId={pipelineId}
          stream={stream}
          code={values.code}
          fields={values.fields}
          onChange={(code) => change({ code })}
          error={errorOf("code")}
        />
      </div>
    </div>
  );
}

function limitErrors(errorOf: (field: keyof StreamValues) => string | undefined): Record<string, string> {
  const errors = { allow_empty: errorOf("allow_empty"), max_rejected_share: errorOf("max_rejected_share") };
  return Object.fromEntries(Object.entries(errors).filter(([, message]) => message)) as Record<
    string,
    string
  >;
}

/** The names of the stream's fields and cursor columns, as suggestions. */
function useKnownFields(connectorId: string | null, stream: string): { names: string[]; cursors: string[] } {
  const info = useStreams(connectorId)?.find(({ name }) => name === stream);
  return { names: info?.fields.map(({ name }) => name) ?? [], cursors: info?.cursor_fields ?? [] };
}
