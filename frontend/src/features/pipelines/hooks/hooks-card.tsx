import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { fieldMessages } from "@/api/problem";
import type { Hook, HookWithSecret } from "@/api/types";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { CopyButton } from "@/components/copy-button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { ConfirmDialog } from "@/components/dialog";
import { EnabledSwitch } from "@/components/enabled-switch";
import { TextField } from "@/components/field";
import { Name } from "@/components/name";
import { ErrorNotice } from "@/components/notice";
import { OneTimeSecret } from "@/components/one-time-secret";
import { RelativeTime } from "@/components/relative-time";
import { QueryContent } from "@/components/section";
import { showError } from "@/components/toast";
import { useFocusReturn } from "@/components/use-focus-return";
import { hooksQuery, useChangeHook, useCreateHook, useDeleteHook, useRotateHook } from "./queries";

const CREDENTIALS: Record<Hook["credential"], string> = {
  token: "The secret in a header",
  signature: "A signature (HMAC-SHA256)",
};

interface Props {
  pipelineId: string;
  canEdit: boolean;
}

/** The addresses with which programs start the pipeline. A secret is shown once, when it is made. */
export function HooksCard({ pipelineId, canEdit }: Props) {
  const hooks = useQuery(hooksQuery(pipelineId));
  const [secretOf, setSecretOf] = useState<HookWithSecret | null>(null);
  const [isCreating, setCreating] = useState(false);
  const createButton = useFocusReturn(isCreating);
  const [asked, setAsked] = useState<{ action: "rotate" | "delete"; hook: Hook } | null>(null);
  const rotate = useRotateHook(pipelineId);
  const remove = useDeleteHook(pipelineId);
  return (
    <section aria-label="Hooks" className="card grid gap-3 p-4">
      <div>
        <h2 className="font-semibold">Hooks</h2>
        <p className="text-soft">
          A program that calls the address of a hook with its secret starts a run. It needs no account.
        </p>
      </div>
      {secretOf && (
        <OneTimeSecret label={`Secret of ${secretOf.name} (shown only once)`}>
          {secretOf.secret}
        </OneTimeSecret>
      )}
      <QueryContent query={hooks}>
        {({ results }) => (
          <ul aria-label="Hooks" className="divide-y divide-line empty:hidden">
            {results.map((hook) => (
              <li key={hook.id} className="py-2.5 first:pt-0">
                <HookRow
                  pipelineId={pipelineId}
                  hook={hook}
                  canEdit={canEdit}
                  onAsk={(action) => setAsked({ action, hook })}
                />
              </li>
            ))}
          </ul>
        )}
      </QueryContent>
      {canEdit && !isCreating && (
        <div>
          <Button ref={createButton} onClick={() => setCreating(true)}>
            Create a hook
          </Button>
        </div>
      )}
      {isCreating && (
        <Form pipelineId={pipelineId} onCreated={setSecretOf} onClose={() => setCreating(false)} />
      )}
      <ConfirmDialog
        open={asked?.action === "rotate"}
        title={`Renew the secret of ${asked?.hook.name}?`}
        confirmLabel="Renew"
        onClose={() => setAsked(null)}
        onConfirm={() => {
          rotate.mutate(asked!.hook.id, { onSuccess: setSecretOf, onError: (error) => showError(error) });
          setAsked(null);
        }}
      >
        The new secret is shown once. Calls with the old one are refused at once.
      </ConfirmDialog>
      <DestroyDialog
        target={asked?.action === "delete" ? asked.hook : null}
        nameOf={({ name }) => name}
        verb="Delete"
        destruction={{ ...remove, mutate: ({ id }, options) => remove.mutate(id, options) }}
        onClose={() => setAsked(null)}
      >
        Calls of this hook are refused at once. Its address cannot be restored.
      </DestroyDialog>
    </section>
  );
}

interface RowProps {
  pipelineId: string;
  hook: Hook;
  canEdit: boolean;
  onAsk: (action: "rotate" | "delete") => void;
}

function HookRow({ pipelineId, hook, canEdit, onAsk }: RowProps) {
  const change = useChangeHook(pipelineId);
  return (
    <div className="grid gap-1">
      <div className="flex flex-wrap items-center gap-2">
        <Name className="mr-auto font-medium">{hook.name}</Name>
        {canEdit && (
          <>
            <EnabledSwitch
              of={hook.name}
              isEnabled={hook.enabled}
              onChange={(enabled) =>
                change.mutate(
                  { hook: hook.id, change: { enabled } },
                  { onError: (error) => showError(error) },
                )
              }
            />
            <Button size="small" onClick={() => onAsk("rotate")}>
              Renew secret
            </Button>
            <Button size="small" look="danger" onClick={() => onAsk("delete")}>
              Delete
            </Button>
          </>
        )}
        {!canEdit && !hook.enabled && <span className="text-soft">Disabled</span>}
      </div>
      <p className="flex flex-wrap items-center gap-x-2">
        <code className="font-mono text-[0.8125rem] wrap-anywhere">{hook.url}</code>
        <CopyButton text={hook.url} label="Copy address" />
      </p>
      <p className="text-[0.8125rem] text-soft">
        {CREDENTIALS[hook.credential]}, which ends in {hook.secret_last4}.{" "}
        {hook.last_used_at ? (
          <>
            Called <RelativeTime time={hook.last_used_at} />.
          </>
        ) : (
          "Never called."
        )}
      </p>
    </div>
  );
}

interface FormProps {
  pipelineId: string;
  onCreated: (hook: HookWithSecret) => void;
  onClose: () => void;
}

function Form({ pipelineId, onCreated, onClose }: FormProps) {
  const create = useCreateHook(pipelineId);
  const [name, setName] = useState("");
  const [credential, setCredential] = useState<Hook["credential"]>("token");
  const messages = fieldMessages(create.error);
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(
      { name: name.trim(), credential },
      {
        onSuccess: (hook) => {
          onCreated(hook);
          onClose();
        },
      },
    );
  }
  return (
    <form className="grid gap-3" onSubmit={submit}>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Name"
          required
          autoFocus
          maxLength={120}
          hint="The program that calls it."
          error={messages.name}
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
        <ChoiceField
          label="How a call is checked"
          words={CREDENTIALS}
          value={credential}
          onChange={setCredential}
        />
      </div>
      {create.error && !messages.name && <ErrorNotice error={create.error} />}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" disabledReason={create.isPending ? "Creating" : null}>
          Create
        </Button>
        <Button look="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
