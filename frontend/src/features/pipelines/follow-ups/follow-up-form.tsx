import { useState, type FormEvent } from "react";
import { fieldMessages } from "@/api/problem";
import type { FollowUp } from "@/api/types";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { useCreateFollowUp } from "./queries";
import { AFTER, KINDS } from "./words";

interface Setting {
  name: string;
  label: string;
  hint: string;
  type?: "password" | "number";
}

const SETTINGS: Record<FollowUp["kind"], Setting[]> = {
  webhook: [
    { name: "url", label: "URL", hint: "Gets a POST request with JSON after a run." },
    {
      name: "secret",
      label: "Secret",
      hint: "The key of the signature, at least 16 characters.",
      type: "password",
    },
  ],
  dbt_cloud: [
    { name: "url", label: "Access URL", hint: "Of your account, like https://cloud.getdbt.com." },
    { name: "account_id", label: "Account ID", hint: "The number in the account's URL.", type: "number" },
    { name: "job_id", label: "Job ID", hint: "The number in the job's URL.", type: "number" },
    { name: "token", label: "Service token", hint: "It needs the right to run jobs.", type: "password" },
  ],
};

interface Props {
  pipelineId: string;
  onClose: () => void;
}

export function FollowUpForm({ pipelineId, onClose }: Props) {
  const create = useCreateFollowUp(pipelineId);
  const [name, setName] = useState("");
  const [kind, setKind] = useState<FollowUp["kind"]>("webhook");
  const [after, setAfter] = useState<FollowUp["after"]>("success");
  const [values, setValues] = useState<Record<string, string>>({});
  const messages = fieldMessages(create.error);
  const settings = SETTINGS[kind];
  const isShown = settings.some(({ name }) => messages[`settings.${name}`]) || messages.name;
  function submit(event: FormEvent) {
    event.preventDefault();
    const sent = settings.map(({ name, type }) => [
      name,
      type === "number" ? Number(values[name] ?? 0) : (values[name] ?? "").trim(),
    ]);
    const body = { name: name.trim(), kind, after, settings: Object.fromEntries(sent) as object };
    create.mutate({ ...body, settings: body.settings as Record<string, unknown> }, { onSuccess: onClose });
  }
  return (
    <form aria-label="New call" className="grid gap-3 rounded-card border border-line p-4" onSubmit={submit}>
      <h3 className="font-semibold">New call</h3>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Name"
          required
          autoFocus
          maxLength={120}
          error={messages.name}
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
        <ChoiceField label="What to call" words={KINDS} value={kind} onChange={setKind} />
        <ChoiceField label="When" words={AFTER} value={after} onChange={setAfter} />
        {settings.map(({ name, label, hint, type = "text" }) => (
          <TextField
            key={`${kind} ${name}`}
            label={label}
            hint={hint}
            type={type}
            required
            autoComplete="off"
            error={messages[`settings.${name}`]}
            value={values[name] ?? ""}
            onChange={({ target }) => setValues({ ...values, [name]: target.value })}
          />
        ))}
      </div>
      {create.error && !isShown && <ErrorNotice error={create.error} />}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" disabledReason={create.isPending ? "Adding" : null}>
          Add
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
