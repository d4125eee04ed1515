import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { channelsQuery, ruleKindsQuery } from "@/api/alerts";
import type { AlertChannel, AlertRule, AlertRuleKind } from "@/api/types";
import { Button } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { Name } from "@/components/name";
import { EmptyState, ErrorNotice } from "@/components/notice";
import { QueryContent, Section } from "@/components/section";
import { showError, showSuccess } from "@/components/toast";
import { useFocusReturn } from "@/components/use-focus-return";
import { isFound } from "@/format/parameter";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { EnabledSwitch } from "@/components/enabled-switch";
import { rulesQuery, useChangeRule, useDeleteRule } from "./queries";
import { EditRule, NewRule } from "./rule-form";
import { ScopeOf } from "./scope";
import { SnoozeButton, SnoozedUntil } from "./snooze";
import { parseRuleSearch, type RuleSearch } from "./search";

export function RulesTab() {
  const search = useSearch({ from: "/app/alerts/", select: parseRuleSearch });
  const navigate = useNavigate({ from: "/alerts" });
  const isReadOnly = useReadOnlyReason() !== null;
  const rules = useQuery(rulesQuery);
  const channels = useQuery(channelsQuery);
  const kinds = useQuery(ruleKindsQuery);
  const [asked, setAsked] = useState<AlertRule | null>(null);
  const change = (next: RuleSearch, replace = false) =>
    void navigate({ search: (current) => ({ ...current, ...next }), replace });
  const closeForm = () => change({ edit: undefined, pipeline: undefined });
  const clear = () => change({ q: undefined });
  const lists = { channels: channels.data?.results ?? [], kinds: kinds.data?.results ?? [] };
  const shown = (rules.data?.results ?? []).filter((rule) => isShown(rule, search.q, lists));
  const isCreating = search.edit === "new" && !isReadOnly;
  const createButton = useFocusReturn(isCreating);
  return (
    <Section
      title="Rules"
      description="A rule decides when an alert opens and who is told. While an alert is open, the same problem is not told again. Recovery closes it, and the same channels are told."
      action={
        !isCreating &&
        !isReadOnly && (
          <Button ref={createButton} look="primary" onClick={() => change({ edit: "new" })}>
            Create a rule
          </Button>
        )
      }
    >
      {isCreating && (
        <QueryContent query={kinds}>
          {() => <NewRule {...lists} pipeline={search.pipeline} onClose={closeForm} />}
        </QueryContent>
      )}
      <FilterBar
        items="rules"
        filter={{ q: search.q }}
        onSearch={(q, replace) => change({ q }, replace)}
        onClear={clear}
      />
      {channels.error && rules.data && (
        <ErrorNotice error={channels.error} retry={() => void channels.refetch()} />
      )}
      <QueryContent query={rules}>
        {({ results }) =>
          results.length === 0 ? (
            <EmptyState title="Nobody is told about failures">
              Create a rule, for example to send a mail when a run of any pipeline has failed after its
              retries.
            </EmptyState>
          ) : shown.length === 0 ? (
            <NoMatch items="rules" onClear={clear} />
          ) : (
            <ul>
              {shown.map((rule) => (
                <li key={rule.id} className="border-t border-line py-3">
                  <RuleRow
                    rule={rule}
                    {...lists}
                    areChannelsKnown={channels.data !== undefined}
                    isOpen={search.edit === rule.id}
                    onOpen={(isOpen) => change({ edit: isOpen ? rule.id : undefined, pipeline: undefined })}
                    onDelete={() => setAsked(rule)}
                  />
                </li>
              ))}
            </ul>
          )
        }
      </QueryContent>
      <DeleteDialog rule={asked} onClose={() => setAsked(null)} />
    </Section>
  );
}

interface Lists {
  channels: AlertChannel[];
  kinds: AlertRuleKind[];
}

function isShown(rule: AlertRule, q: string | undefined, { channels }: Lists): boolean {
  const names = channels.filter(({ id }) => rule.channel_ids.includes(id)).map(({ name }) => name);
  return isFound(q, rule.sentence, rule.scope_name, rule.tag, ...names);
}

interface RowProps extends Lists {
  rule: AlertRule;
  areChannelsKnown: boolean;
  isOpen: boolean;
  onOpen: (isOpen: boolean) => void;
  onDelete: () => void;
}

function RuleRow({ rule, channels, kinds, areChannelsKnown, isOpen, onOpen, onDelete }: RowProps) {
  const canEdit = useCanEdit(rule);
  const setEnabled = useChangeRule(rule.id);
  const editButton = useFocusReturn(isOpen);
  const words = rule.sentence;
  return (
    <>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-64">
          <p className="font-medium wrap-anywhere">{words}</p>
          <p className="wrap-anywhere text-soft">
            <ScopeOf rule={rule} />.{" "}
            {areChannelsKnown && (
              <Told channels={channels.filter(({ id }) => rule.channel_ids.includes(id))} />
            )}
            {rule.urgent && " Urgent: also in quiet hours."}
            {!rule.enabled && !canEdit && " Disabled."}
          </p>
          <SnoozedUntil snooze={rule.snooze} />
        </div>
        {canEdit && (
          <div className="flex flex-wrap items-center gap-2">
            <EnabledSwitch
              of={words}
              isEnabled={rule.enabled}
              onChange={(enabled) =>
                setEnabled.mutate({ change: { enabled } }, { onError: (error) => showError(error) })
              }
            />
            <SnoozeButton
              object={{ kind: "rules", id: rule.id }}
              name={words}
              effect="Nobody is told of new alerts until then. What is still open at the end is told then; what has recovered is only in the log."
              snooze={rule.snooze}
            />
            <Button ref={editButton} size="small" aria-expanded={isOpen} onClick={() => onOpen(!isOpen)}>
              Edit<span className="sr-only"> {words}</span>
            </Button>
            <Button size="small" look="danger" onClick={onDelete}>
              Delete<span className="sr-only"> {words}</span>
            </Button>
          </div>
        )}
      </div>
      {isOpen && canEdit && (
        <EditRule id={rule.id} channels={channels} kinds={kinds} onClose={() => onOpen(false)} />
      )}
    </>
  );
}

/** Whether to offer changes of the rule. Of a pipeline's domain the row does not tell, so there the server decides. */
function useCanEdit({ scope, scope_id }: AlertRule): boolean {
  const hasPermission = useHasPermission();
  const isReadOnly = useReadOnlyReason() !== null;
  const isPermitted =
    scope === "pipeline" || hasPermission("alerts.edit", scope === "domain" ? scope_id : null);
  return !isReadOnly && isPermitted;
}

/** The channels to which the messages of a rule go. */
function Told({ channels }: { channels: AlertChannel[] }) {
  if (channels.length === 0) return <span className="text-wait">Nobody is told: it has no channel.</span>;
  return (
    <>
      Tells{" "}
      {channels.map(({ id, name, enabled }, index) => (
        <span key={id}>
          {index > 0 && ", "}
          <Link to="/alerts/channels" search={{ q: name }} className="link">
            <Name>{name}</Name>
          </Link>
          {!enabled && <span className="text-wait"> (disabled)</span>}
        </span>
      ))}
      .
    </>
  );
}

interface DialogProps {
  rule: AlertRule | null;
  onClose: () => void;
}

function DeleteDialog({ rule, onClose }: DialogProps) {
  const remove = useDeleteRule();
  function close() {
    remove.reset();
    onClose();
  }
  return (
    <ConfirmDialog
      open={rule !== null}
      title="Delete this rule?"
      confirmLabel="Delete"
      danger
      disabledReason={remove.isPending ? "Working on it" : null}
      onClose={close}
      onConfirm={() =>
        remove.mutate(rule!.id, {
          onSuccess: () => {
            showSuccess("The rule was deleted.");
            close();
          },
        })
      }
    >
      <div className="grid gap-3">
        <p>{rule?.sentence}. Its open alerts are deleted too, and nobody is told of their recovery.</p>
        {remove.error != null && <ErrorNotice error={remove.error} />}
      </div>
    </ConfirmDialog>
  );
}
