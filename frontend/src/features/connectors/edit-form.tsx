import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, messagesBelow, nameTakenMessage, ProblemError } from "@/api/problem";
import type { Connector } from "@/api/types";
import { Button } from "@/components/button";
import { DomainField } from "@/components/connectors/domain-field";
import { MissingFields, requiredErrors, TestButton, TestResult } from "@/components/connectors/new-connector";
import { connectorQuery, useCheckConnector } from "@/components/connectors/queries";
import { Field, TextField } from "@/components/field";
import { missingFields, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { showError, showSuccess } from "@/components/toast";
import { useEditableDomains } from "@/session/use-editable-domains";
import { ConflictNotice } from "./conflict-notice";
import { useUpdateConnector } from "./queries";
import { changesOf, mergeValues, valuesOf, withField, type Conflict, type ConnectorValues } from "./values";

/** What the user has typed, and the connector that the user began to edit. */
interface Draft {
  base: Connector;
  values: ConnectorValues;
  conflicts: Conflict[];
  taken: string[];
}

interface Props {
  connector: Connector;
  schema: Schema;
}

/**
 * Edits a connector. What the user has typed stays when the page loads a newer version of the connector. If somebody
 * else has saved a change first, the user chooses a value for each field that both have changed.
 */
export function EditForm({ connector, schema }: Props) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const [revision, setRevision] = useState(0); // increases when values are replaced that the user has not typed
  const [wasSubmitted, setWasSubmitted] = useState(false);
  const client = useQueryClient();
  const domains = useEditableDomains("connectors.edit");
  const update = useUpdateConnector(connector.id);
  const check = useCheckConnector(connector.id);

  const base = draft?.base ?? connector;
  const values = draft?.values ?? valuesOf(connector);
  const changes = changesOf(valuesOf(base), values);
  const isChanged = Object.keys(changes).length > 0;
  const missingPaths = missingFields(schema, schema, values.config);
  const messages = { ...fieldMessages(check.error), ...fieldMessages(update.error) };
  const settingErrors = {
    ...messagesBelow(messages, "config"),
    ...(wasSubmitted ? requiredErrors(missingPaths) : {}),
  };

  function change(next: Partial<ConnectorValues>) {
    setDraft({ ...(draft ?? { base, conflicts: [], taken: [] }), values: { ...values, ...next } });
  }
  function runIfComplete(action: () => void) {
    setWasSubmitted(true);
    if (missingPaths.length === 0 && values.name.trim() !== "") action();
  }
  function startAgain(next: Draft | null) {
    setDraft(next);
    setRevision(revision + 1);
    setWasSubmitted(false);
  }
  async function mergeNewerVersion() {
    const theirs = await client.fetchQuery({ ...connectorQuery(connector.id), staleTime: 0 });
    const merged = mergeValues(valuesOf(base), values, valuesOf(theirs));
    startAgain({ base: theirs, ...merged });
  }
  function save() {
    const request = { version: base.version, changes };
    update.mutate(request, {
      onSuccess: ({ name }) => {
        startAgain(null);
        check.reset();
        showSuccess(`${name} was saved. The next runs use it.`);
      },
      onError: (error) => {
        if (isStale(error)) mergeNewerVersion().catch(showError);
      },
    });
  }
  function choose(field: string, value: unknown) {
    if (draft) startAgain({ ...draft, values: withField(values, field, value) });
  }
  return (
    <div className="grid gap-4">
      {draft && draft.conflicts.length + draft.taken.length > 0 && (
        <ConflictNotice
          conflicts={draft.conflicts}
          taken={draft.taken}
          values={values}
          schema={schema}
          domains={domains}
          onChoose={choose}
        />
      )}
      <div key={`${base.version}.${revision}`} className="grid gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField
            label="Name"
            value={values.name}
            onChange={({ target }) => change({ name: target.value })}
            error={
              messages.name ??
              nameTakenMessage(update.error) ??
              (values.name.trim() === "" ? "This field is required." : null)
            }
            maxLength={120}
            required
          />
          <DomainField
            domains={domains}
            value={values.domainId}
            onChange={(domainId) => change({ domainId })}
            error={messages.domain_id}
          />
        </div>
        <Field label="Description" optional error={messages.description}>
          {(control) => (
            <textarea
              className="control"
              rows={2}
              maxLength={1000}
              {...control}
              value={values.description}
              onChange={({ target }) => change({ description: target.value })}
            />
          )}
        </Field>
        <SchemaForm
          schema={schema}
          value={values.config}
          onChange={(config) => change({ config })}
          errors={settingErrors}
        />
      </div>
      <TestResult
        steps={check.data?.steps}
        error={isStale(update.error) || nameTakenMessage(update.error) ? null : (update.error ?? check.error)}
      />
      {wasSubmitted && <MissingFields paths={missingPaths} />}
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={update.isPending ? "Saving" : isChanged ? null : "Nothing has changed"}
          onClick={() => runIfComplete(save)}
        >
          {update.isPending ? "Saving…" : "Save"}
        </Button>
        <TestButton
          isPending={check.isPending}
          onClick={() => runIfComplete(() => check.mutate(changes.config ?? null))}
        />
        {isChanged && (
          <Button
            look="quiet"
            onClick={() => {
              startAgain(null);
              update.reset();
              check.reset();
            }}
          >
            Discard changes
          </Button>
        )}
      </div>
      {changes.config && check.data && (
        <p className="text-[0.8125rem] text-faint">The test used your changes. They are not saved yet.</p>
      )}
    </div>
  );
}

/** Whether somebody else has saved a change since the user began to edit. */
function isStale(error: unknown): boolean {
  return error instanceof ProblemError && error.status === 412;
}
