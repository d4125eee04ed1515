import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { messagesBelow } from "@/api/problem";
import type { AlertChannel, AlertRule, AlertRuleKind } from "@/api/types";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { Field, TextField } from "@/components/field";
import { PipelineSelect } from "@/components/pipeline-select";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { withoutEmptyFields, type Config } from "@/components/schema-form/schema";
import { QueryContent } from "@/components/section";
import { showSuccess } from "@/components/toast";
import { VersionedForm, type FormFields } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { nameInWords } from "@/format/name";
import { useEditableDomains } from "@/session/use-editable-domains";
import { useHasPermission } from "@/session/use-session";
import { ruleQuery, tagsQuery, useChangeRule, useCreateRule, type RuleChange } from "./queries";
import { SCOPE_WORDS } from "./scope";

type Scope = AlertRule["scope"];

interface Lists {
  channels: AlertChannel[];
  kinds: AlertRuleKind[];
}

const LABELS = {
  kind: "An alert opens when",
  settings: "Settings",
  scope: "Applies to",
  scope_id: "Domain or pipeline",
  tag: "Tag",
  channel_ids: "Channels",
  urgent: "Urgent",
};

interface NewProps extends Lists {
  /** The pipeline that the rule is for, if the form was opened from its page. */
  pipeline: string | undefined;
  onClose: () => void;
}

export function NewRule({ channels, kinds, pipeline, onClose }: NewProps) {
  const create = useCreateRule();
  const mayEditAll = useHasPermission()("alerts.edit");
  const fresh: Values = {
    kind: kinds[0]?.kind ?? "",
    settings: {},
    scope: pipeline ? "pipeline" : mayEditAll ? "org" : "domain",
    scope_id: pipeline ?? "",
    tag: "",
    channel_ids: [],
    urgent: false,
  };
  return (
    <div className="mb-5 rounded-card border border-line p-4">
      <h3 className="mb-3 font-semibold">New rule</h3>
      <VersionedForm
        title="New rule"
        saved={fresh}
        save={create}
        labels={LABELS}
        saveLabel="Create rule"
        onSave={(values) =>
          create.mutate(bodyOf(values) as Parameters<typeof create.mutate>[0], {
            onSuccess: () => {
              showSuccess("The rule was created.");
              onClose();
            },
          })
        }
        actions={() => (
          <Button look="quiet" onClick={onClose}>
            Cancel
          </Button>
        )}
      >
        {(fields) => <RuleFields {...fields} channels={channels} kinds={kinds} takesFocus />}
      </VersionedForm>
    </div>
  );
}

interface EditProps extends Lists {
  id: string;
  onClose: () => void;
}

export function EditRule({ id, channels, kinds, onClose }: EditProps) {
  const opened = useQuery({ ...ruleQuery(id), staleTime: 0 });
  const save = useChangeRule(id);
  return (
    <div className="mt-3 rounded-card border border-line p-4">
      <QueryContent query={opened}>
        {(rule) => (
          <VersionedForm
            title="Edit the rule"
            saved={valuesOf(rule)}
            save={save}
            labels={LABELS}
            textOf={(field, value) => inWords(field, value, { channels, kinds })}
            onSave={(values, _changed, done) =>
              save.mutate(
                { etag: rule.etag, change: bodyOf(values) },
                {
                  onSuccess: () => {
                    done();
                    showSuccess("The rule was saved.");
                    onClose();
                  },
                },
              )
            }
            actions={() => (
              <Button look="quiet" onClick={onClose}>
                Cancel
              </Button>
            )}
          >
            {(fields) => (
              <RuleFields
                {...fields}
                channels={channels}
                kinds={kinds}
                scopeName={{ id: rule.scope_id, name: rule.scope_name }}
              />
            )}
          </VersionedForm>
        )}
      </QueryContent>
    </div>
  );
}

function valuesOf({ kind, settings, scope, scope_id, tag, channel_ids, urgent }: AlertRule): Values {
  return { kind, settings, scope, scope_id: scope_id ?? "", tag, channel_ids, urgent };
}

/** What the server is sent: of the scope only what belongs to it. */
function bodyOf({ kind, settings, scope, scope_id, tag, channel_ids, urgent }: Values): RuleChange {
  return {
    kind,
    settings: withoutEmptyFields(settings as Config),
    scope,
    ...(needsId(scope as Scope) && scope_id !== "" && { scope_id }),
    ...(scope === "tag" && { tag: String(tag).trim() }),
    channel_ids,
    urgent,
  } as RuleChange;
}

function needsId(scope: Scope): boolean {
  return scope === "domain" || scope === "pipeline";
}

/** A value for the notice about what somebody else has saved meanwhile. */
function inWords(field: string, value: unknown, { channels, kinds }: Lists): string | undefined {
  if (field === "kind") return kinds.find(({ kind }) => kind === value)?.title;
  if (field === "scope") return SCOPE_WORDS[value as Scope];
  if (field === "channel_ids")
    return channels
      .filter(({ id }) => (value as string[]).includes(id))
      .map(({ name }) => name)
      .join(", ");
  if (field === "settings")
    return Object.entries(value as Config)
      .map(([name, text]) => `${nameInWords(name)}: ${String(text)}`)
      .join(", ");
  return undefined;
}

interface FieldsProps extends FormFields, Lists {
  /** The name of the domain or pipeline that is saved. */
  scopeName?: { id: string | null; name: string };
  takesFocus?: boolean;
}

function RuleFields({ values, change, messages, channels, kinds, scopeName, takesFocus }: FieldsProps) {
  const kind = kinds.find((each) => each.kind === values.kind);
  const settings = values.settings as Config;
  const scopes = useScopes(kind);
  const mayEditAll = useHasPermission()("alerts.edit");
  const offered = kinds.filter(
    (each) => mayEditAll || each === kind || each.scopes.some((scope) => needsId(scope)),
  );
  const titles = Object.fromEntries(offered.map((each) => [each.kind, each.title]));
  function choose(next: string) {
    const chosen = kinds.find((each) => each.kind === next);
    const keepsScope = chosen?.scopes.includes(values.scope as Scope) ?? true;
    change({ kind: next, settings: {}, ...(!keepsScope && { scope: chosen!.scopes[0] }) });
  }
  return (
    <>
      <ChoiceField
        label={LABELS.kind}
        autoFocus={takesFocus}
        hint={kind?.description}
        error={messages.kind}
        words={titles}
        value={String(values.kind)}
        onChange={choose}
      />
      {kind && (
        <SchemaForm
          key={kind.kind}
          schema={kind.settings}
          value={settings}
          onChange={(next) => change({ settings: next })}
          errors={messagesBelow(messages, "settings")}
        />
      )}
      <ChoiceField
        label={LABELS.scope}
        error={messages.scope}
        words={Object.fromEntries(scopes.map((scope) => [scope, SCOPE_WORDS[scope]]))}
        value={String(values.scope)}
        onChange={(scope) => change({ scope, scope_id: "", tag: "" })}
      />
      <ScopeField values={values} change={change} messages={messages} scopeName={scopeName} />
      <Channels
        channels={channels}
        chosen={values.channel_ids as string[]}
        onChange={(channel_ids) => change({ channel_ids })}
        error={messages.channel_ids}
      />
      <label className="flex items-start gap-2">
        <input
          type="checkbox"
          className="mt-1 size-4 shrink-0 accent-live"
          checked={Boolean(values.urgent)}
          onChange={({ target }) => change({ urgent: target.checked })}
        />
        <span>Urgent: told at once, also in the quiet hours of its channels and before their digests</span>
      </label>
    </>
  );
}

/** The scopes that the kind has, and in which the user may edit rules. */
function useScopes(kind: AlertRuleKind | undefined): Scope[] {
  const mayEditAll = useHasPermission()("alerts.edit");
  const scopes = kind?.scopes ?? (Object.keys(SCOPE_WORDS) as Scope[]);
  return mayEditAll ? scopes : scopes.filter(needsId);
}

type ScopeProps = Pick<FieldsProps, "values" | "change" | "messages" | "scopeName">;

/** Which domain, tag or pipeline the rule is for. */
function ScopeField({ values, change, messages, scopeName }: ScopeProps) {
  const domains = useEditableDomains("alerts.edit").filter(({ id }) => id !== null);
  const tags = useQuery(tagsQuery).data?.tag ?? [];
  const listId = useId();
  const id = String(values.scope_id);
  const savedName = scopeName?.id === id ? scopeName.name : undefined;
  if (values.scope === "tag")
    return (
      <>
        <TextField
          label={LABELS.tag}
          error={messages.tag}
          required
          maxLength={50}
          list={listId}
          value={String(values.tag)}
          onChange={({ target }) => change({ tag: target.value })}
        />
        <datalist id={listId}>
          {tags.map(({ value }) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      </>
    );
  if (values.scope === "domain")
    return (
      <Field
        label="Domain"
        hint={domains.length === 0 ? "There is no domain in which you may edit alerts." : undefined}
        error={messages.scope_id}
      >
        {(control) => (
          <select
            className="control"
            required
            {...control}
            value={id}
            onChange={({ target }) => change({ scope_id: target.value })}
          >
            <option value="">Choose…</option>
            {savedName !== undefined && !domains.some((domain) => domain.id === id) && (
              <option value={id}>{savedName}</option>
            )}
            {domains.map((domain) => (
              <option key={domain.id} value={domain.id ?? ""}>
                {domain.name}
              </option>
            ))}
          </select>
        )}
      </Field>
    );
  if (values.scope === "pipeline")
    return (
      <Field label="Pipeline" error={messages.scope_id}>
        {(control) => (
          <PipelineSelect
            none="Choose…"
            required
            {...control}
            value={id}
            name={savedName}
            onChange={(scope_id) => change({ scope_id })}
          />
        )}
      </Field>
    );
  return null;
}

interface ChannelsProps {
  channels: AlertChannel[];
  chosen: string[];
  onChange: (ids: string[]) => void;
  error: string | undefined;
}

function Channels({ channels, chosen, onChange, error }: ChannelsProps) {
  const id = useId();
  return (
    <fieldset aria-describedby={`${id}-hint`} className="grid min-w-0 gap-1.5">
      <legend className="mb-1 text-[0.8125rem] font-medium">{LABELS.channel_ids}</legend>
      {channels.map(({ id: channelId, name, enabled }) => (
        <label key={channelId} className="flex items-start gap-2 wrap-anywhere">
          <input
            type="checkbox"
            className="mt-1 size-4 shrink-0 accent-live"
            checked={chosen.includes(channelId)}
            onChange={({ target }) =>
              onChange(
                target.checked ? [...chosen, channelId] : chosen.filter((other) => other !== channelId),
              )
            }
          />
          <span>
            <bdi>{name}</bdi>
            {!enabled && <span className="text-wait"> (disabled)</span>}
          </span>
        </label>
      ))}
      <p id={`${id}-hint`} className={chosen.length === 0 ? "text-xs text-wait" : "text-xs text-faint"}>
        {channels.length === 0
          ? "There are no channels yet. Create one in the tab Channels first."
          : chosen.length === 0
            ? "Nobody is told by a rule without a channel."
            : "Each of them gets every message of this rule."}
      </p>
      {error && <p className="text-xs text-bad">{error}</p>}
    </fieldset>
  );
}
