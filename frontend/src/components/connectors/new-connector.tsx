import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fieldMessages, messagesBelow, nameTakenMessage } from "@/api/problem";
import type { CatalogueEntry, CheckStep, Connector, DomainChoice } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { missingFields, type Config, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { nameInWords } from "@/format/name";
import { CheckSteps } from "./check-steps";
import { DomainField } from "./domain-field";
import { proposedName } from "./proposed-name";
import { savedConnectorsQuery, useCheckSettings, useCreateConnector, type Role } from "./queries";

/** The fields of a connector that show the server's messages themselves. */
const SHOWN_FIELDS = /^(config\.|(name|description|domain_id)$)/;

/** The state of the form of a new connector. Use it with `NewConnectorFields` and `NewConnectorResult`. */
export function useNewConnector(role: Role, entry: CatalogueEntry, domains: DomainChoice[]) {
  const schema = entry.config_schema as Schema;
  const { data: saved } = useQuery(savedConnectorsQuery(role));
  const [config, setConfig] = useState<Config>({});
  const [typedName, setName] = useState<string | null>(null);
  const [chosenDomain, setDomainId] = useState<string | null | undefined>(undefined);
  const [wasSubmitted, setWasSubmitted] = useState(false);
  const check = useCheckSettings(role);
  const create = useCreateConnector(role);
  const takenNames = saved?.results.map(({ name }) => name) ?? [];
  const name = typedName ?? proposedName(entry.name, takenNames);
  const domainId = chosenDomain === undefined ? (domains[0]?.id ?? null) : chosenDomain;
  const missingPaths = missingFields(schema, schema, config);

  function runIfComplete(action: () => void) {
    setWasSubmitted(true);
    if (missingPaths.length === 0) action();
  }
  return {
    schema,
    config,
    setConfig,
    name,
    setName,
    domains,
    domainId,
    setDomainId,
    missingPaths,
    wasSubmitted,
    check,
    create,
    test: () => runIfComplete(() => check.mutate({ kind: entry.kind, config })),
    save: (onSaved: (connector: Connector) => void) =>
      runIfComplete(() => {
        if (name.trim() !== "")
          create.mutate(
            { kind: entry.kind, config, name: name.trim(), domainId },
            { onSuccess: (created) => onSaved(created) },
          );
      }),
  };
}

type NewConnectorForm = ReturnType<typeof useNewConnector>;

export function NewConnectorFields({ form }: { form: NewConnectorForm }) {
  const messages = fieldMessages(form.create.error ?? form.check.error);
  const errors = {
    ...messagesBelow(messages, "config"),
    ...(form.wasSubmitted ? requiredErrors(form.missingPaths) : {}),
  };
  const emptyName = form.wasSubmitted && form.name.trim() === "" ? "This field is required." : null;
  return (
    <>
      <SchemaForm schema={form.schema} value={form.config} onChange={form.setConfig} errors={errors} />
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
    </>
  );
}

/** The steps of the last test, and what went wrong. */
export function NewConnectorResult({ form }: { form: NewConnectorForm }) {
  const error = form.create.error ?? form.check.error;
  return (
    <>
      <TestResult steps={form.check.data?.steps} error={nameTakenMessage(error) ? null : error} />
      {form.wasSubmitted && <MissingFields paths={form.missingPaths} />}
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

export function MissingFields({ paths }: { paths: string[] }) {
  if (paths.length === 0) return null;
  const names = paths.map((path) => nameInWords(path.split(".").at(-1)!));
  return (
    <p role="alert" className="text-bad">
      Fill in the required fields: {names.join(", ")}.
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

export function requiredErrors(paths: string[]): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, "This field is required."]));
}
