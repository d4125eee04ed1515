import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { fieldMessages } from "@/api/problem";
import { queryKeys } from "@/api/query-keys";
import type { AgentStatus, ModelDraft, OwnModel, OwnModelChange } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Field, TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { modelInWords, PROVIDER_NAMES } from "@/format/model";
import { formatCount } from "@/format/number";
import { useHasPermission } from "@/session/use-session";
import { ModelCheck, useCheckModel } from "./model-check";
import { QueryContent, Section } from "./section";

const PROVIDERS: Record<OwnModel["provider"], string> = {
  ...PROVIDER_NAMES,
  openai_compatible: `${PROVIDER_NAMES.openai_compatible} (such as Ollama or vLLM)`,
};

/** The language model of the organization's agent. */
export function ModelPage() {
  const canEdit = useHasPermission()("settings.edit");
  const status = useQuery({
    queryKey: queryKeys.languageModel.status,
    queryFn: () => unwrap(api.GET("/api/v1/agent/status")),
  });
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
  // The answer is empty if the organization has not chosen a model.
  queryFn: async () => (await unwrap(api.GET("/api/v1/org/model"))) || null,
};

function OwnModelSection() {
  const own = useQuery(ownModelQuery);
  return (
    <Section
      title="Your own model"
      description="The key is stored encrypted and is never shown again. Texts of conversations, names and numbers are sent to the provider."
    >
      <QueryContent query={own}>
        {(model) => <ModelForm key={model?.updated_at ?? "none"} model={model} />}
      </QueryContent>
    </Section>
  );
}

function useRefreshModel() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: queryKeys.languageModel.all });
}

function ModelForm({ model }: { model: OwnModel | null }) {
  const refresh = useRefreshModel();
  const [provider, setProvider] = useState<OwnModel["provider"]>(model?.provider ?? "openai");
  const save = useMutation({
    mutationFn: (body: OwnModelChange) => unwrap(api.PUT("/api/v1/org/model", { body })),
    onSuccess: async () => {
      showSuccess("Saved.");
      await refresh();
    },
  });
  const check = useCheckModel();
  const form = useRef<HTMLFormElement>(null);
  const errors = { ...draftMessages(check.error), ...fieldMessages(save.error) };

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (check.isError) check.reset();
    if (!save.isPending) save.mutate(changeOf(provider, new FormData(event.currentTarget)));
  }

  function test() {
    if (!form.current!.reportValidity()) return;
    save.reset();
    check.mutate(draftOf(provider, new FormData(form.current!)));
  }

  /** The results of a test are about the settings that were tested. */
  function clearResults() {
    if (!check.isIdle) check.reset();
  }

  return (
    <form ref={form} className="grid max-w-xl gap-4" onSubmit={submit} onChange={clearResults}>
      <Field label="Provider" error={errors.provider}>
        {(control) => (
          <select
            {...control}
            className="control"
            value={provider}
            onChange={({ target }) => setProvider(target.value as OwnModel["provider"])}
          >
            {Object.entries(PROVIDERS).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      <TextField
        label="Model"
        name="model"
        required
        maxLength={120}
        defaultValue={model?.model}
        error={errors.model}
      />
      <TextField
        label="Key"
        name="key"
        type="password"
        autoComplete="off"
        optional={provider === "openai_compatible"}
        maxLength={500}
        hint={
          model?.key.set
            ? `${storedKeyText(model.key.last4)} Leave this empty to keep it.`
            : "From the provider. It is not shown again."
        }
        error={errors.key}
      />
      <TextField
        label="Base URL"
        name="base_url"
        optional={provider !== "openai_compatible"}
        required={provider === "openai_compatible"}
        maxLength={500}
        placeholder="https://models.example.com/v1"
        hint={
          provider === "openai_compatible"
            ? "Where the server answers."
            : "Leave this empty to use the provider's own address."
        }
        defaultValue={model?.base_url}
        error={errors.base_url}
      />
      <TextField
        label="Temperature"
        name="temperature"
        optional
        type="number"
        min={0}
        max={2}
        step="any"
        hint="From 0 to 2. Leave this empty for the provider's default."
        defaultValue={model?.temperature ?? ""}
        error={errors.temperature}
      />
      <TextField
        label="Tokens per month"
        name="monthly_tokens"
        optional
        type="number"
        min={1}
        hint="Warns at 80%; stops the agent at 100%. Leave this empty for no limit."
        defaultValue={model?.monthly_tokens ?? ""}
        error={errors.monthly_tokens}
      />
      <label className="flex items-start gap-2.5">
        <input
          type="checkbox"
          name="values_allowed"
          className="mt-1 accent-live"
          defaultChecked={model?.values_allowed}
        />
        <span>
          Allow record values to be sent to the provider
          <span className="block text-xs text-faint">
            If not allowed, the agent works with names, types, counts and masked errors only.
          </span>
        </span>
      </label>
      {save.error && <ErrorNotice error={save.error} />}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" disabledReason={save.isPending ? "Saving" : null}>
          Save
        </Button>
        <Button disabledReason={check.isPending ? "Testing" : null} onClick={test}>
          Test
        </Button>
        {model && <RemoveButton />}
      </div>
      <p className="text-xs text-faint">
        A test uses these settings, saved or not. It sends a few small requests and one of 8,000 tokens.
      </p>
      {check.error && <ErrorNotice error={check.error} />}
      <ModelCheck check={check} />
    </form>
  );
}

/** The settings with which a model is reached. An empty key is left out, so that the stored key is used. */
function draftOf(provider: OwnModel["provider"], form: FormData): ModelDraft {
  const key = textIn(form, "key");
  return {
    provider,
    model: textIn(form, "model"),
    base_url: textIn(form, "base_url"),
    temperature: numberIn(form, "temperature"),
    ...(key ? { key } : {}),
  };
}

function changeOf(provider: OwnModel["provider"], form: FormData): OwnModelChange {
  return {
    ...draftOf(provider, form),
    monthly_tokens: numberIn(form, "monthly_tokens"),
    values_allowed: form.get("values_allowed") !== null,
  };
}

function textIn(form: FormData, name: string): string {
  return String(form.get(name) ?? "").trim();
}

function numberIn(form: FormData, name: string): number | null {
  const text = textIn(form, name);
  return text === "" ? null : Number(text);
}

/** The messages of a test at the fields of the form. The server names them `draft.key`, for example. */
function draftMessages(error: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fieldMessages(error)).map(([field, message]) => [field.replace(/^draft\./, ""), message]),
  );
}

function RemoveButton() {
  const refresh = useRefreshModel();
  const [isConfirming, setIsConfirming] = useState(false);
  const remove = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/org/model")),
    onSuccess: refresh,
    onError: (error) => showError(error),
  });
  return (
    <>
      <Button look="danger" onClick={() => setIsConfirming(true)}>
        Remove
      </Button>
      <ConfirmDialog
        open={isConfirming}
        title="Remove the language model?"
        confirmLabel="Remove"
        danger
        onClose={() => setIsConfirming(false)}
        onConfirm={() => {
          setIsConfirming(false);
          remove.mutate();
        }}
      >
        Its key is deleted. The agent then uses the default of this installation, or guided mode.
      </ConfirmDialog>
    </>
  );
}

/** The server does not send the end of a short key. */
function storedKeyText(lastCharacters: string): string {
  return lastCharacters ? `A key that ends with ${lastCharacters} is stored.` : "A key is stored.";
}
