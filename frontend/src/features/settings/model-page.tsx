import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type ChangeEvent } from "react";
import { api, unwrap, unwrapOptional, type Optional } from "@/api/client";
import { fieldMessages, isChangedMeanwhile } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { AgentStatus, ModelDraft, OwnModel, OwnModelChange } from "@/api/types";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { Field, TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { SecretField, typedSecret } from "@/components/secret-field";
import { showSuccess } from "@/components/toast";
import { VersionedForm, type FormFields } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { agentStatusQuery } from "@/api/agent-status";
import { modelInWords, PROVIDER_NAMES } from "@/format/model";
import { formatCount } from "@/format/number";
import { useHasPermission } from "@/session/use-session";
import { ModelCheck, useCheckModel } from "./model-check";
import { QueryContent, Section } from "@/components/section";

const PROVIDERS: Record<OwnModel["provider"], string> = {
  ...PROVIDER_NAMES,
  openai_compatible: `${PROVIDER_NAMES.openai_compatible} (such as Ollama or vLLM)`,
};

/** The language model of the organization's agent. */
export function ModelPage() {
  const canEdit = useHasPermission()("settings.edit");
  const status = useQuery(agentStatusQuery);
  return (
    <>
      <Section title="Language model" description="Which model answers in the agent.">
        <QueryContent query={status}>
          {(answer) => (
            <div className="grid gap-3">
              <Status status={answer} />
              {canEdit && answer.mode === "model" && !answer.is_own && <DefaultModelCheck />}
            </div>
          )}
        </QueryContent>
      </Section>
      {canEdit && <OwnModelSection />}
    </>
  );
}

function Status({ status }: { status: AgentStatus }) {
  const { label, is_own, used_tokens, limit_tokens, warning, values_allowed } = status;
  return (
    <div className="grid gap-1">
      <p className="font-medium">{status.mode === "guided" ? "Guided mode" : modelInWords(label)}</p>
      <p className="text-soft">
        {status.mode === "guided"
          ? "No language model is set. Guided mode is not a language model: it understands a fixed set of requests."
          : is_own
            ? "Chosen by an admin of this organization."
            : "The default of this installation."}
      </p>
      <p className="text-soft">
        {formatCount(used_tokens)} {limit_tokens === null ? "" : `of ${formatCount(limit_tokens)} `}tokens
        this month. Record values are {values_allowed ? "sent to the provider" : "not sent to the provider"}.
      </p>
      {warning && <p className="text-wait">{warning}</p>}
    </div>
  );
}

/** Tests the default model of the installation. The organization's own model is tested with its form. */
function DefaultModelCheck() {
  const check = useCheckModel();
  return (
    <>
      <Button
        className="justify-self-start"
        disabledReason={check.isPending ? "Testing" : null}
        onClick={() => check.mutate(null)}
      >
        Test this model
      </Button>
      {check.error && <ErrorNotice error={check.error} />}
      <ModelCheck check={check} />
    </>
  );
}

const ownModelQuery = {
  queryKey: queryKeys.languageModel.own,
  queryFn: () => unwrapOptional(api.GET("/api/v1/org/model")),
};

function OwnModelSection() {
  const own = useQuery(ownModelQuery);
  return (
    <Section
      title="Your own model"
      description="The key is stored encrypted and is never shown again. Texts of conversations, names and numbers are sent to the provider."
    >
      <QueryContent query={own}>{(current) => <ModelForm current={current} />}</QueryContent>
    </Section>
  );
}

function useRefreshModel() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: queryKeys.languageModel.all });
}

const LABELS = {
  provider: "Provider",
  model: "Model",
  key: "Key",
  base_url: "Base URL",
  temperature: "Temperature",
  monthly_tokens: "Tokens per month",
  values_allowed: "Allow record values to be sent to the provider",
};

function ModelForm({ current: { value: model, etag } }: { current: Optional<OwnModel> }) {
  const refresh = useRefreshModel();
  const save = useMutation({
    mutationFn: (body: OwnModelChange) =>
      unwrap(api.PUT("/api/v1/org/model", { params: { header: { "If-Match": etag } }, body })),
    onSuccess: async () => {
      showSuccess("Saved.");
      await refresh();
    },
    onError: async (error) => {
      if (isChangedMeanwhile(error)) await refresh();
    },
  });
  const check = useCheckModel();
  const form = useRef<HTMLFormElement>(null);
  const [isRemoving, setIsRemoving] = useState(false);

  function submit(values: Values, done: () => void) {
    if (check.isError) check.reset();
    save.mutate(changeOf(values), { onSuccess: done });
  }

  function test(values: Values) {
    if (!form.current!.reportValidity()) return;
    save.reset();
    check.mutate(draftOf(values));
  }

  /** The results of a test are about the settings that were tested. */
  function clearResults() {
    if (!check.isIdle) check.reset();
  }
  return (
    <>
      <VersionedForm
        ref={form}
        saved={valuesOf(model)}
        labels={LABELS}
        secrets={["key"]}
        textOf={(field, value) =>
          field === "provider" ? PROVIDERS[value as OwnModel["provider"]] : undefined
        }
        save={save}
        onEdit={clearResults}
        onSave={(values, _changed, done) => submit(values, done)}
        actions={({ values }) => (
          <>
            <Button disabledReason={check.isPending ? "Testing" : null} onClick={() => test(values)}>
              Test
            </Button>
            {model && (
              <Button look="danger" onClick={() => setIsRemoving(true)}>
                Remove
              </Button>
            )}
          </>
        )}
        below={
          <>
            <p className="text-xs text-faint">
              A test uses these settings, saved or not. It sends a few small requests and one of 8,000 tokens.
            </p>
            {check.error && <ErrorNotice error={check.error} />}
            <ModelCheck check={check} />
          </>
        }
      >
        {(fields) => (
          <ModelFields {...fields} messages={{ ...draftMessages(check.error), ...fields.messages }} />
        )}
      </VersionedForm>
      <RemoveDialog
        model={model?.model ?? ""}
        etag={etag}
        open={isRemoving}
        onClose={() => setIsRemoving(false)}
      />
    </>
  );
}

function ModelFields({ values, base, change, messages }: FormFields) {
  const isCompatible = values.provider === "openai_compatible";
  const stored = base.key as OwnModel["key"];
  /** The attributes of the field for a text of the settings. */
  const text = (name: keyof typeof LABELS) => ({
    label: LABELS[name],
    value: String(values[name]),
    onChange: ({ target }: ChangeEvent<HTMLInputElement>) => change({ [name]: target.value }),
    error: messages[name],
  });
  return (
    <>
      <Field label={LABELS.provider} error={messages.provider}>
        {(control) => (
          <select
            {...control}
            className="control"
            value={String(values.provider)}
            onChange={({ target }) => change({ provider: target.value })}
          >
            {Object.entries(PROVIDERS).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      <TextField {...text("model")} required maxLength={120} />
      <SecretField
        label={LABELS.key}
        value={values.key}
        stored={stored}
        onChange={(key) => change({ key })}
        optional={isCompatible}
        maxLength={500}
        hint={
          stored.set
            ? `${storedKeyText(stored.last4)} Leave this empty to keep it.`
            : "From the provider. It is not shown again."
        }
        error={messages.key}
      />
      <TextField
        {...text("base_url")}
        optional={!isCompatible}
        required={isCompatible}
        maxLength={500}
        placeholder="https://models.example.com/v1"
        hint={
          isCompatible ? "Where the server answers." : "Leave this empty to use the provider's own address."
        }
      />
      <TextField
        {...text("temperature")}
        optional
        type="number"
        min={0}
        max={2}
        step="any"
        hint="From 0 to 2. Leave this empty for the provider's default."
      />
      <TextField
        {...text("monthly_tokens")}
        optional
        type="number"
        min={1}
        hint="Warns at 80%; stops the agent at 100%. Leave this empty for no limit."
      />
      <label className="flex items-start gap-2.5">
        <input
          type="checkbox"
          className="mt-1 accent-live"
          checked={Boolean(values.values_allowed)}
          onChange={({ target }) => change({ values_allowed: target.checked })}
        />
        <span>
          {LABELS.values_allowed}
          <span className="block text-xs text-faint">
            If not allowed, the agent works with names, types, counts and masked errors only.
          </span>
        </span>
      </label>
    </>
  );
}

/** The values of the form. Numbers are texts, because that is what the user types. */
function valuesOf(model: OwnModel | null): Values {
  return {
    provider: model?.provider ?? "openai",
    model: model?.model ?? "",
    key: model?.key ?? { set: false, last4: "" },
    base_url: model?.base_url ?? "",
    temperature: String(model?.temperature ?? ""),
    monthly_tokens: String(model?.monthly_tokens ?? ""),
    values_allowed: model?.values_allowed ?? false,
  };
}

/** The settings with which a model is reached. Without a typed key the stored key is used. */
function draftOf(values: Values): ModelDraft {
  const key = typedSecret(values.key);
  return {
    provider: values.provider as OwnModel["provider"],
    model: String(values.model).trim(),
    base_url: String(values.base_url).trim(),
    temperature: numberOf(values.temperature),
    ...(key ? { key } : {}),
  };
}

function changeOf(values: Values): OwnModelChange {
  return {
    ...draftOf(values),
    monthly_tokens: numberOf(values.monthly_tokens),
    values_allowed: Boolean(values.values_allowed),
  };
}

function numberOf(text: unknown): number | null {
  return String(text).trim() === "" ? null : Number(text);
}

/** The messages of a test at the fields of the form. The server names them `draft.key`, for example. */
function draftMessages(error: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fieldMessages(error)).map(([field, message]) => [field.replace(/^draft\./, ""), message]),
  );
}

interface RemoveProps {
  /** The name of the model. */
  model: string;
  etag: string;
  open: boolean;
  onClose: () => void;
}

function RemoveDialog({ model, etag, open, onClose }: RemoveProps) {
  const refresh = useRefreshModel();
  const remove = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/org/model", { params: { header: { "If-Match": etag } } })),
    onSuccess: refresh,
    onError: async (error) => {
      if (isChangedMeanwhile(error)) await refresh();
    },
  });
  return (
    <DestroyDialog
      target={open ? model : null}
      nameOf={(name) => name}
      title="Remove the language model?"
      verb="Remove"
      destruction={{ ...remove, mutate: (_model, options) => remove.mutate(undefined, options) }}
      onClose={onClose}
    >
      Its key is deleted. The agent then uses the default of this installation, or guided mode.
    </DestroyDialog>
  );
}

/** The server does not send the end of a short key. */
function storedKeyText(lastCharacters: string): string {
  return lastCharacters ? `A key that ends with ${lastCharacters} is stored.` : "A key is stored.";
}
