import { useState } from "react";
import { fieldMessages, isChangedMeanwhile, messagesBelow, nameTakenMessage } from "@/api/problem";
import type { Connector } from "@/api/types";
import { Button } from "@/components/button";
import { ConflictNotice } from "@/components/conflict-notice";
import { DomainField } from "@/components/connectors/domain-field";
import { MissingFields, requiredErrors, TestButton, TestResult } from "@/components/connectors/new-connector";
import { useCheckConnector } from "@/components/connectors/queries";
import { Field, TextField } from "@/components/field";
import { SaveError } from "@/components/save-error";
import { isSame } from "@/components/schema-form/merge-patch";
import { missingFields, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { showSuccess } from "@/components/toast";
import { useEdits } from "@/components/use-edits";
import type { Values } from "@/format/merge";
import { useEditableDomains } from "@/session/use-editable-domains";
import { useUpdateConnector } from "./queries";
import {
  changesOf,
  fieldsOf,
  settingFields,
  titleOf,
  valueInWords,
  valuesOf,
  valuesOfFields,
} from "./values";

interface Props {
  connector: Connector;
  schema: Schema;
}

/**
 * Edits a connector. What the user has typed stays when the page loads a newer version of the connector. If somebody
 * else has saved a change first, the user chooses a value for each field that both have changed.
 */
export function EditForm({ connector, schema }: Props) {
  const [wasSubmitted, setWasSubmitted] = useState(false);
  const domains = useEditableDomains("connectors.edit");
  const update = useUpdateConnector(connector.id);
  const check = useCheckConnector(connector.id);

  const saved = fieldsOf(valuesOf(connector), schema);
  const edits = useEdits(saved, isSame);
  const hasConflict = !update.isPending && edits.isOutdated;
  const values = valuesOfFields(edits.values);
  const changes = changesOf(valuesOfFields(edits.base), values);
  const isChanged = Object.keys(changes).length > 0;
  const missingPaths = missingFields(schema, schema, values.config);
  const isStale = isChangedMeanwhile(update.error);
  const messages = { ...fieldMessages(check.error), ...fieldMessages(update.error) };
  const settingErrors = {
    ...messagesBelow(messages, "config"),
    ...(wasSubmitted ? requiredErrors(missingPaths) : {}),
  };

  function runIfComplete(action: () => void) {
    setWasSubmitted(true);
    if (missingPaths.length === 0 && values.name.trim() !== "") action();
  }
  function save(next: Values) {
    const request = {
      version: connector.version,
      changes: changesOf(valuesOf(connector), valuesOfFields(next)),
    };
    update.mutate(request, {
      onSuccess: ({ name }) => {
        edits.finish();
        setWasSubmitted(false);
        check.reset();
        showSuccess(`${name} was saved. The next runs use it.`);
      },
    });
  }
  return (
    <div className="grid gap-4">
      {hasConflict && (
        <ConflictNotice
          edits={edits}
          saved={saved}
          labelOf={(field) => titleOf(field, schema)}
          textOf={(field, value) => valueInWords(field, value, schema, domains)}
          isSaving={update.isPending}
          takesFocus={update.isError}
          onSave={save}
          onContinue={update.reset}
        />
      )}
      <div key={edits.formKey} className="grid gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField
            label="Name"
            value={values.name}
            onChange={({ target }) => edits.change({ name: target.value })}
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
            onChange={(domain_id) => edits.change({ domain_id })}
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
              onChange={({ target }) => edits.change({ description: target.value })}
            />
          )}
        </Field>
        <SchemaForm
          schema={schema}
          value={values.config}
          onChange={(config) => edits.change(settingFields(values.config, config))}
          errors={settingErrors}
        />
      </div>
      <TestResult
        steps={check.data?.steps}
        error={isStale || nameTakenMessage(update.error) ? null : (update.error ?? check.error)}
      />
      {isStale && <SaveError error={update.error} hasConflict={hasConflict} />}
      {wasSubmitted && <MissingFields paths={missingPaths} />}
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={
            update.isPending
              ? "Saving"
              : hasConflict
                ? "First decide about what somebody else has saved"
                : isChanged
                  ? null
                  : "Nothing has changed"
          }
          onClick={() => runIfComplete(() => save(edits.values))}
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
              edits.discard();
              setWasSubmitted(false);
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
