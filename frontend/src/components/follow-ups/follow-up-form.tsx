import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { messagesBelow } from "@/api/problem";
import type { FollowUp } from "@/api/types";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { TextField } from "@/components/field";
import { plainInWords, secretInWords } from "@/components/schema-form/settings-in-words";
import { QueryContent } from "@/components/section";
import { SecretField } from "@/components/secret-field";
import { VersionedForm, type FormFields } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { followUpQuery, useChangeFollowUp, useCreateFollowUp } from "./queries";
import { AFTER, KINDS } from "./words";

interface Setting {
  name: string;
  label: string;
  hint: string;
  type?: "secret" | "number";
}

const SETTINGS: Record<FollowUp["kind"], Setting[]> = {
  webhook: [
    { name: "url", label: "URL", hint: "Gets a POST request with JSON after a run." },
    {
      name: "secret",
      label: "Secret",
      hint: "The key of the signature, at least 16 characters.",
      type: "secret",
    },
  ],
  dbt_cloud: [
    { name: "url", label: "Access URL", hint: "Of your account, like https://cloud.getdbt.com." },
    { name: "account_id", label: "Account ID", hint: "The number in the account's URL.", type: "number" },
    { name: "job_id", label: "Job ID", hint: "The number in the job's URL.", type: "number" },
    { name: "token", label: "Service token", hint: "It needs the right to run jobs.", type: "secret" },
  ],
};
const LABELS = { name: "Name", kind: "What to call", after: "When", settings: "Settings" };
const FRESH: Values = { name: "", kind: "webhook", after: "success", settings: {} };

interface NewProps {
  pipelineId: string;
  /** The values at first. They have no secrets. */
  prefilled?: Values;
  onAdded: (followUp: FollowUp) => void;
  /** Without it the form cannot be closed, and takes no focus. */
  onClose?: () => void;
  below?: ReactNode;
}

export function NewFollowUp({ pipelineId, prefilled = FRESH, onAdded, onClose, below }: NewProps) {
  const create = useCreateFollowUp(pipelineId);
  return (
    <VersionedForm
      title="New call"
      saved={prefilled}
      save={create}
      labels={LABELS}
      saveLabel="Add"
      onSave={(values) => {
        if (create.isSuccess) return;
        const kind = values.kind as FollowUp["kind"];
        create.mutate({ kind, ...bodyOf(kind, values) }, { onSuccess: onAdded });
      }}
      actions={() => onClose && <CancelButton onClose={onClose} />}
      below={below}
    >
      {(fields) => (
        <FollowUpFields
          {...fields}
          kind={fields.values.kind as FollowUp["kind"]}
          takesFocus={onClose !== undefined}
        >
          <ChoiceField
            label={LABELS.kind}
            words={KINDS}
            value={fields.values.kind as FollowUp["kind"]}
            onChange={(kind) => fields.change({ kind, settings: {} })}
          />
        </FollowUpFields>
      )}
    </VersionedForm>
  );
}

interface EditProps {
  pipelineId: string;
  id: string;
  onClose: () => void;
}

export function EditFollowUp({ pipelineId, id, onClose }: EditProps) {
  const opened = useQuery({ ...followUpQuery(pipelineId, id), staleTime: 0 });
  const save = useChangeFollowUp(pipelineId);
  return (
    <div className="mt-2 rounded-card border border-line p-4">
      <QueryContent query={opened}>
        {({ name, kind, after, settings, etag }) => (
          <VersionedForm
            title={`Edit ${name}`}
            saved={{ name, after, settings }}
            save={save}
            labels={LABELS}
            textOf={(field, value) => textOf(kind, field, value)}
            onSave={(values, _changed, done) =>
              save.mutate(
                { followUp: id, etag, change: bodyOf(kind, values) },
                {
                  onSuccess: () => {
                    done();
                    onClose();
                  },
                },
              )
            }
            actions={() => <CancelButton onClose={onClose} />}
          >
            {(fields) => <FollowUpFields {...fields} kind={kind} takesFocus />}
          </VersionedForm>
        )}
      </QueryContent>
    </div>
  );
}

function CancelButton({ onClose }: { onClose: () => void }) {
  return (
    <Button look="quiet" onClick={onClose}>
      Cancel
    </Button>
  );
}

interface FieldsProps extends FormFields {
  kind: FollowUp["kind"];
  takesFocus: boolean;
  /** A field after the name. */
  children?: ReactNode;
}

function FollowUpFields({ values, base, change, messages, kind, takesFocus, children }: FieldsProps) {
  const settings = values.settings as Values;
  const stored = base.settings as Values;
  const errors = messagesBelow(messages, "settings");
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      <TextField
        label={LABELS.name}
        required
        autoFocus={takesFocus}
        maxLength={120}
        error={messages.name}
        value={String(values.name)}
        onChange={({ target }) => change({ name: target.value })}
      />
      {children}
      <ChoiceField
        label={LABELS.after}
        words={AFTER}
        error={messages.after}
        value={values.after as FollowUp["after"]}
        onChange={(after) => change({ after })}
      />
      {SETTINGS[kind].map(({ name, label, hint, type }) => {
        const set = (value: unknown) => change({ settings: { ...settings, [name]: value } });
        const shared = { label, error: errors[name] };
        return type === "secret" ? (
          <SecretField
            {...shared}
            key={`${kind} ${name}`}
            required={stored[name] === undefined}
            hint={
              stored[name] === undefined ? hint : `${secretInWords(stored[name])}. Leave blank to keep it.`
            }
            value={settings[name]}
            stored={stored[name]}
            onChange={set}
          />
        ) : (
          <TextField
            {...shared}
            key={`${kind} ${name}`}
            hint={hint}
            type={type ?? "text"}
            required
            autoComplete="off"
            value={String(settings[name] ?? "")}
            onChange={({ target }) => set(target.value)}
          />
        );
      })}
    </div>
  );
}

/** What the server is sent. A secret that nobody has typed is kept. */
function bodyOf(kind: FollowUp["kind"], { name, after, settings }: Values) {
  const typed = settings as Values;
  const sent = SETTINGS[kind].map(({ name, type }) => [name, settingOf(typed[name], type)] as const);
  return {
    name: String(name).trim(),
    after: after as FollowUp["after"],
    settings: Object.fromEntries(sent),
  };
}

function settingOf(value: unknown, type: Setting["type"]): unknown {
  if (type === "number") return Number(value ?? 0);
  return typeof value === "string" ? value.trim() : value;
}

function textOf(kind: FollowUp["kind"], field: string, value: unknown): string | undefined {
  if (field === "after") return AFTER[value as FollowUp["after"]];
  if (field !== "settings") return undefined;
  const settings = value as Values;
  const lines = SETTINGS[kind].map(({ name, label, type }) => {
    const setting = settings[name] ?? "";
    return `${label}: ${type === "secret" ? secretInWords(setting) : plainInWords(setting)}`;
  });
  return lines.join("\n");
}
