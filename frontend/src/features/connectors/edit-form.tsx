import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, isChangedMeanwhile, messagesBelow, nameTakenMessage } from "@/api/problem";
import type { Connector } from "@/api/types";
import { Button } from "@/components/button";
import { ConflictNotice } from "@/components/conflict-notice";
import { DomainField } from "@/components/connectors/domain-field";
import { TestButton, TestResult, WrongFields } from "@/components/connectors/new-connector";
import { testSavedSettings, useCheckConnector } from "@/components/connectors/queries";
import { UntestedSave } from "@/components/connectors/untested-save";
import { useTestedSave } from "@/components/connectors/use-tested-save";
import { Field, TextField } from "@/components/field";
import { SaveError } from "@/components/save-error";
import { isSame } from "@/components/schema-form/merge-patch";
import { useFocusOnWrongField } from "@/components/schema-form/focus";
import type { Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { REQUIRED, settingErrors } from "@/components/schema-form/validation";
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
  const [refusals, setRefusals] = useState(0); // submissions with wrong fields
  const client = useQueryClient();
  const domains = useEditableDomains("connectors.edit");
  const update = useUpdateConnector(connector.id);
  const check = useCheckConnector(connector.id);
  const testedSave = useTestedSave();

  const saved = fieldsOf(valuesOf(connector), schema);
  const edits = useEdits(saved, isSame);
  const hasConflict = !update.isPending && edits.isOutdated;
  const values = valuesOfFields(edits.values);
  const changes = changesOf(valuesOfFields(edits.base), values);
  const isChanged = Object.keys(changes).length > 0;
  const wrong = settingErrors(schema, values.config);
  const shownErrors = refusals > 0 ? wrong : {};
  const isStale = isChangedMeanwhile(update.error);
  const messages = { ...fieldMessages(check.error), ...fieldMessages(update.error) };
  const isSaving = update.isPending || testedSave.waiting?.state === "testing";
  const container = useFocusOnWrongField([refusals, update.error, check.error]);

  function change(next: Values) {
    edits.change(next);
    testedSave.cancel();
  }
  function runIfValid(action: () => void) {
    if (Object.keys(wrong).length === 0 && values.name.trim() !== "") action();
    else setRefusals(refusals + 1);
  }
  /** Saves the values. Changed settings are tested first. */
  function save(next: Values) {
    const request = {
      version: connector.version,
      changes: changesOf(valuesOf(connector), valuesOfFields(next)),
    };
    const { config } = request.changes;
    const saveNow = (isTested: boolean) =>
      update.mutate(request, {
        onSuccess: ({ name }) => {
          edits.finish();
          setRefusals(0);
          check.reset();
          if (isTested) void testSavedSettings(client, connector.id);
          showSuccess(`${name} was saved. The next runs use it.`);
        },
      });
    const hasPassed = config !== undefined && check.data?.ok && isSame(check.variables, config);
    if (config && !hasPassed) void testedSave.save(() => check.mutateAsync(config), saveNow);
    else saveNow(config !== undefined);
  }
  return (
    <div className="grid gap-4">
      {hasConflict && (
        <ConflictNotice
          edits={edits}
          saved={saved}
          labelOf={(field) => titleOf(field, schema)}
          textOf={(field, value) => valueInWords(field, value, schema, domains)}
          isSaving={isSaving}
          takesFocus={update.isError}
          onSave={save}
          onContinue={update.reset}
        />
      )}
      <div key={edits.formKey} ref={container} className="grid gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField
            label="Name"
            value={values.name}
            onChange={({ target }) => change({ name: target.value })}
            error={
              messages.name ?? nameTakenMessage(update.error) ?? (values.name.trim() === "" ? REQUIRED : null)
            }
            maxLength={120}
            required
          />
          <DomainField
            domains={domains}
            value={values.domainId}
            onChange={(domain_id) => change({ domain_id })}
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
          onChange={(config) => change(settingFields(values.config, config))}
          errors={{ ...messagesBelow(messages, "config"), ...shownErrors }}
        />
      </div>
      <TestResult
        steps={check.data?.steps}
        error={isStale || nameTakenMessage(update.error) ? null : (update.error ?? check.error)}
      />
      {isStale && <SaveError error={update.error} hasConflict={hasConflict} />}
      <WrongFields errors={shownErrors} />
      <UntestedSave waiting={testedSave.waiting} />
      <div className="flex flex-wrap gap-2">
        <Button
          look="primary"
          disabledReason={
            isSaving
              ? "Saving"
              : hasConflict
                ? "First decide about what somebody else has saved"
                : isChanged
                  ? null
                  : "Nothing has changed"
          }
          onClick={() => runIfValid(() => save(edits.values))}
        >
          {isSaving ? "Saving…" : "Save"}
        </Button>
        <TestButton
          isPending={check.isPending}
          onClick={() => runIfValid(() => check.mutate(changes.config ?? null))}
        />
        {isChanged && (
          <Button
            look="quiet"
            onClick={() => {
              edits.discard();
              setRefusals(0);
              testedSave.cancel();
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
