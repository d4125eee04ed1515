import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { fieldMessages, messagesBelow, nameTakenMessage } from "@/api/problem";
import type { CatalogueEntry, CheckStep, Connector, DomainChoice } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { useFocusOnWrongField } from "@/components/schema-form/focus";
import { keptConfig, type Config, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { missingFields, REQUIRED, settingErrors, type Messages } from "@/components/schema-form/validation";
import { nameInWords } from "@/format/name";
import { CheckSteps } from "./check-steps";
import { DomainField } from "./domain-field";
import { proposedName } from "@/format/proposed-name";
import { useKept, type Kept } from "@/components/use-kept";
import type { ConnectorForm, KeptSettings } from "./kept-settings";
import { savedConnectorsQuery, useCheckSettings, useCreateConnector, type Role } from "./queries";
import { UntestedSave } from "./untested-save";
import { useTestedSave } from "./use-tested-save";

/** The fields of a connector that show the server's messages themselves. */
const SHOWN_FIELDS = /^(config\.|(name|description|domain_id)$)/;

/** The state of the form of a new connector. Use it with `NewConnectorFields` and `NewConnectorResult`. */
export function useNewConnector(
  role: Role,
  entry: CatalogueEntry,
  domains: DomainChoice[],
  form: ConnectorForm,
) {
  const schema = entry.config_schema as Schema;
  const keptSettings: Kept<KeptSettings> = useKept(form);
  const [restored] = useState(() => keptSettings.read());
  const { data: saved } = useQuery(savedConnectorsQuery(role));
  const [config, setConfig] = useState<Config>(restored?.config ?? {});
  const [typedName, setName] = useState<string | null>(restored?.name ?? null);
  const [chosenDomain, setDomainId] = useState<string | null | undefined>(undefined);
  const [refusals, setRefusals] = useState(0); // submissions with wrong fields
  const [testedConfig, setTestedConfig] = useState<Config | null>(null); // the settings that have passed the last test
  const check = useCheckSettings(role);
  const create = useCreateConnector(role);
  const testedSave = useTestedSave();
  const takenNames = saved?.results.map(({ name }) => name) ?? [];
  const name = typedName ?? proposedName(entry.name, takenNames);
  const domainId = chosenDomain === undefined ? (domains[0]?.id ?? null) : chosenDomain;
  const wrong = settingErrors(schema, config);
  useEffect(() => {
    keptSettings.write({ kind: entry.kind, config: keptConfig(schema, config), name: typedName });
  }, [keptSettings, entry.kind, schema, config, typedName]);

  function runIfValid(isValid: boolean, action: () => void) {
    if (isValid) action();
    else setRefusals(refusals + 1);
  }
  async function test() {
    const answer = await check.mutateAsync({ kind: entry.kind, config });
    setTestedConfig(answer.ok ? config : null);
    return answer;
  }
  return {
    schema,
    /** Whether the settings were typed before the page was opened. */
    isRestored: restored !== null && Object.keys(restored.config).length > 0,
    config,
    setConfig: (next: Config) => {
      setConfig(next);
      testedSave.cancel();
    },
    name,
    setName,
    domains,
    domainId,
    setDomainId,
    errors: refusals > 0 ? wrong : {},
    refusals,
    check,
    create,
    waiting: testedSave.waiting,
    isSaving: create.isPending || testedSave.waiting?.state === "testing",
    test: () => runIfValid(isEmpty(wrong), () => void test().catch(() => undefined)),
    save: (onSaved: (connector: Connector) => void) =>
      runIfValid(isEmpty(wrong) && name.trim() !== "", () => {
        const saveNow = (isTested: boolean) =>
          create.mutate(
            { kind: entry.kind, config, name: name.trim(), domainId, isTested },
            {
              onSuccess: (created) => {
                keptSettings.forget();
                onSaved(created);
              },
            },
          );
        if (testedConfig === config) saveNow(true);
        else void testedSave.save(test, saveNow);
      }),
  };
}

function isEmpty(messages: Messages): boolean {
  return Object.keys(messages).length === 0;
}

type NewConnectorForm = ReturnType<typeof useNewConnector>;

export function NewConnectorFields({ form }: { form: NewConnectorForm }) {
  const error = form.create.error ?? form.check.error;
  const messages = fieldMessages(error);
  const container = useFocusOnWrongField([form.refusals, error]);
  const emptyName = form.refusals > 0 && form.name.trim() === "" ? REQUIRED : null;
  return (
    <div ref={container} className="grid gap-4">
      {form.isRestored && (
        <p role="status" className="text-soft">
          These are the settings that you typed before. Secrets are not kept: enter them again.
        </p>
      )}
      <SchemaForm
        schema={form.schema}
        value={form.config}
        onChange={form.setConfig}
        errors={{ ...messagesBelow(messages, "config"), ...form.errors }}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Save as"
          hint="Saved as a connector that other pipelines can use too."
          value={form.name}
          onChange={({ target }) => form.setName(target.value)}
          error={messages.name ?? nameTakenMessage(form.create.error) ?? emptyName}
          maxLength={120}
          required
        />
        <DomainField
          domains={form.domains}
          value={form.domainId}
          onChange={form.setDomainId}
          error={messages.domain_id}
        />
      </div>
    </div>
  );
}

/** The steps of the last test, and what went wrong. */
export function NewConnectorResult({ form }: { form: NewConnectorForm }) {
  const error = form.create.error ?? form.check.error;
  return (
    <>
      <TestResult steps={form.check.data?.steps} error={nameTakenMessage(error) ? null : error} />
      <WrongFields errors={form.errors} />
      <UntestedSave waiting={form.waiting} />
    </>
  );
}

export function TestResult({ steps, error }: { steps: CheckStep[] | undefined; error: unknown }) {
  return (
    <>
      {steps && <CheckSteps steps={steps} />}
      {error != null && <SettingsError error={error} />}
    </>
  );
}

/** The error without the messages that its fields show. */
function SettingsError({ error }: { error: unknown }) {
  const fields = Object.keys(fieldMessages(error));
  const areShown = fields.length > 0 && fields.every((field) => SHOWN_FIELDS.test(field));
  if (!areShown) return <ErrorNotice error={error} />;
  return (
    <p role="alert" className="text-bad">
      Some fields are invalid. Each has a message.
    </p>
  );
}

/** Names the required fields that are empty, and says that there are wrong ones. Each has its own message too. */
export function WrongFields({ errors }: { errors: Messages }) {
  const missing = missingFields(errors).map((path) => nameInWords(path.split(".").at(-1)!));
  const isWrong = Object.keys(errors).length > missing.length;
  if (missing.length === 0 && !isWrong) return null;
  const texts = [
    missing.length > 0 && `Fill in the required fields: ${missing.join(", ")}.`,
    isWrong && "Some fields are invalid. Each has a message.",
  ];
  return (
    <p role="alert" className="text-bad">
      {texts.filter(Boolean).join(" ")}
    </p>
  );
}

export function TestButton({ isPending, onClick }: { isPending: boolean; onClick: () => void }) {
  return (
    <Button disabledReason={isPending ? "Testing" : null} onClick={onClick}>
      {isPending ? "Testing…" : "Test connection"}
    </Button>
  );
}
