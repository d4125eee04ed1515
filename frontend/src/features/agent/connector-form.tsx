import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, newIdempotencyKey, unwrap } from "@/api/client";
import { fieldMessages, messagesBelow, nameTakenMessage } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { isObject, withoutEmptyFields, type Config, type Schema } from "@/components/schema-form/schema";
import type { JsonRecord } from "./transcript";

/** The server's form: the kind of the connector and its schema, and what the agent has filled in. */
interface Prefilled {
  role: "source" | "destination";
  kind: string;
  name: string;
  config: Config;
  domain_id: string | null;
  schema: Schema;
}

interface Props {
  form: JsonRecord;
  onSaved: (connectorId: string) => void;
}

/**
 * The settings of a new connector. They go directly to the connectors API and not into the conversation, so the agent
 * and its language model never see a secret. The agent gets the id of the saved connector only.
 */
export function ConnectorForm({ form, onSaved }: Props) {
  const prefilled = readForm(form);
  const [name, setName] = useState(prefilled.name);
  const [config, setConfig] = useState(prefilled.config);
  const save = useSaveConnector();
  const errors = fieldMessages(save.error);
  const nameError = nameTakenMessage(save.error) ?? errors.name;
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (save.isPending || save.isSuccess) return;
        save.mutate({ ...prefilled, name: name.trim(), config }, { onSuccess: ({ id }) => onSaved(id) });
      }}
    >
      <TextField
        label="Name"
        required
        maxLength={120}
        value={name}
        error={nameError}
        onChange={({ target }) => setName(target.value)}
      />
      <SchemaForm
        schema={prefilled.schema}
        value={config}
        onChange={setConfig}
        errors={messagesBelow(errors, "config")}
      />
      <p className="text-xs text-faint">
        Saved in Drover directly. The agent does not see what you enter here.
      </p>
      {save.error && !nameError && <ErrorNotice error={save.error} />}
      <div>
        <Button
          type="submit"
          look="primary"
          disabledReason={save.isPending || save.isSuccess ? "Saving the connector" : null}
        >
          Save connector
        </Button>
      </div>
    </form>
  );
}

function readForm({ role, kind, name, config, domain_id, schema }: JsonRecord): Prefilled {
  return {
    role: role === "destination" ? "destination" : "source",
    kind: String(kind),
    name: typeof name === "string" ? name : String(kind),
    config: isObject(config) ? config : {},
    domain_id: typeof domain_id === "string" ? domain_id : null,
    schema: isObject(schema) ? schema : {},
  };
}

function useSaveConnector() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ role, kind, name, config, domain_id }: Prefilled) =>
      unwrap(
        api.POST("/api/v1/connectors", {
          params: { header: { "Idempotency-Key": newIdempotencyKey() } },
          body: { role, kind, name, domain_id, config: withoutEmptyFields(config) },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.connectors.lists }),
  });
}
