import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { AlertChannel, AlertKind } from "@/api/types";
import { Button } from "@/components/button";
import { DestroyDialog } from "@/components/destroy-dialog";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { Name } from "@/components/name";
import { EmptyState } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { QueryContent, Section } from "@/components/section";
import { showError } from "@/components/toast";
import { settingsInWords } from "@/components/schema-form/settings-in-words";
import { nameInWords } from "@/format/name";
import { momentInWords } from "@/format/time";
import { useFocusReturn } from "@/components/use-focus-return";
import { isFound } from "@/format/parameter";
import { useHasPermission, useReadOnlyReason } from "@/session/use-session";
import { EditChannel, NewChannel } from "./channel-form";
import { EnabledSwitch } from "@/components/enabled-switch";
import { DeliveryState, Outcome } from "./outcome";
import {
  channelKindsQuery,
  liveChannelsQuery,
  deliveryQuery,
  useChangeChannel,
  useDeleteChannel,
  useTestChannel,
} from "./queries";
import { timingInWords } from "./timing";
import { parseChannelSearch, type ChannelSearch } from "./search";

export function ChannelsTab() {
  const search = useSearch({ from: "/app/alerts/channels", select: parseChannelSearch });
  const navigate = useNavigate({ from: "/alerts/channels" });
  const canEdit = useCanEditChannels();
  const channels = useQuery(liveChannelsQuery);
  const kinds = useQuery(channelKindsQuery);
  const remove = useDeleteChannel();
  const [asked, setAsked] = useState<AlertChannel | null>(null);
  const change = (next: ChannelSearch, replace = false) =>
    void navigate({ search: (current) => ({ ...current, ...next }), replace });
  const clear = () => change({ q: undefined });
  const known = kinds.data?.results ?? [];
  const shown = (channels.data?.results ?? []).filter((channel) =>
    isFound(search.q, channel.name, kindInWords(channel, known), ...goesTo(channel, known)),
  );
  const isCreating = search.edit === "new" && canEdit;
  const createButton = useFocusReturn(isCreating);
  return (
    <Section
      title="Channels"
      description="A channel is where messages about alerts are sent. A channel that fails for 7 days is disabled, and the owners get a mail."
      action={
        canEdit &&
        !isCreating && (
          <Button ref={createButton} look="primary" onClick={() => change({ edit: "new" })}>
            Create a channel
          </Button>
        )
      }
    >
      {isCreating && (
        <QueryContent query={kinds}>
          {({ results }) => <NewChannel kinds={results} onClose={() => change({ edit: undefined })} />}
        </QueryContent>
      )}
      <FilterBar
        items="channels"
        filter={{ q: search.q }}
        onSearch={(q, replace) => change({ q }, replace)}
        onClear={clear}
      />
      <QueryContent query={channels}>
        {({ results }) =>
          results.length === 0 ? (
            <EmptyState title="No channels yet">
              Create a channel to send alerts by mail, to Slack, Microsoft Teams, PagerDuty or Opsgenie, or to
              a server of yours. Then test it, and choose it in a rule.
            </EmptyState>
          ) : shown.length === 0 ? (
            <NoMatch items="channels" onClear={clear} />
          ) : (
            <ul>
              {shown.map((channel) => (
                <li key={channel.id} className="border-t border-line py-3">
                  <ChannelRow
                    channel={channel}
                    kinds={known}
                    canEdit={canEdit}
                    isOpen={search.edit === channel.id}
                    onOpen={(isOpen) => change({ edit: isOpen ? channel.id : undefined })}
                    onDelete={() => setAsked(channel)}
                  />
                </li>
              ))}
            </ul>
          )
        }
      </QueryContent>
      <DestroyDialog
        target={asked}
        nameOf={({ name }) => name}
        verb="Delete"
        destruction={remove}
        onClose={() => setAsked(null)}
      >
        Rules no longer send to it, and its deliveries are removed from the log.
      </DestroyDialog>
    </Section>
  );
}

/** Channels belong to the organization, so a role in a domain is not enough. */
function useCanEditChannels(): boolean {
  const mayEdit = useHasPermission()("alerts.edit");
  return useReadOnlyReason() === null && mayEdit;
}

function kindInWords({ kind }: AlertChannel, kinds: AlertKind[]): string {
  return kinds.find((each) => each.kind === kind)?.title ?? nameInWords(kind);
}

/** Where the messages go, by the settings of the channel. Of a secret only its end is shown. */
function goesTo(channel: AlertChannel, kinds: AlertKind[]): string[] {
  const kind = kinds.find((each) => each.kind === channel.kind);
  if (!kind) return [];
  const lines = settingsInWords(kind.settings, channel.settings);
  return lines.map(({ title, text }) => `${title}: ${text || "the owners of the organization"}`);
}

interface RowProps {
  channel: AlertChannel;
  kinds: AlertKind[];
  canEdit: boolean;
  isOpen: boolean;
  onOpen: (isOpen: boolean) => void;
  onDelete: () => void;
}

function ChannelRow({ channel, kinds, canEdit, isOpen, onOpen, onDelete }: RowProps) {
  const { id, name, enabled, editable } = channel;
  const setEnabled = useChangeChannel(id);
  const editButton = useFocusReturn(isOpen);
  const test = useTestChannel(id);
  return (
    <>
      <div className="flex flex-wrap items-start gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-64">
          <p>
            <Name className="font-medium">{name}</Name>{" "}
            <span className="text-faint">{kindInWords(channel, kinds)}</span>
          </p>
          {goesTo(channel, kinds).map((line) => (
            <p key={line} className="text-[0.8125rem] wrap-anywhere text-soft">
              {line}
            </p>
          ))}
          <WhenItSends channel={channel} />
          <Health channel={channel} />
          {canEdit && !editable && (
            <p className="text-[0.8125rem] text-soft">
              A rule that you cannot see uses this channel, so only an admin can change it.
            </p>
          )}
        </div>
        {canEdit && (
          <div className="flex flex-wrap items-center gap-2">
            {editable && (
              <EnabledSwitch
                of={name}
                isEnabled={enabled}
                onChange={(next) =>
                  setEnabled.mutate({ change: { enabled: next } }, { onError: (error) => showError(error) })
                }
              />
            )}
            <Button
              size="small"
              disabledReason={!enabled ? "Enable the channel first" : test.isPending ? "Sending" : null}
              title={enabled ? undefined : "Enable the channel first"}
              onClick={() => test.mutate(undefined, { onError: (error) => showError(error) })}
            >
              Test<span className="sr-only"> {name}</span>
            </Button>
            {editable && (
              <>
                <Button ref={editButton} size="small" aria-expanded={isOpen} onClick={() => onOpen(!isOpen)}>
                  Edit<span className="sr-only"> {name}</span>
                </Button>
                <Button size="small" look="danger" onClick={onDelete}>
                  Delete<span className="sr-only"> {name}</span>
                </Button>
              </>
            )}
          </div>
        )}
      </div>
      <div role="status">{test.data && <TestResult id={test.data.id} />}</div>
      {isOpen && canEdit && editable && <EditChannel id={id} kinds={kinds} onClose={() => onOpen(false)} />}
    </>
  );
}

/** When it sends, unless that is at once, and until when it waits now. */
function WhenItSends({ channel: { timing, held_until, enabled } }: { channel: AlertChannel }) {
  if (timing.kind === "at_once") return null;
  const what = timing.kind === "digest" ? "Next message" : "Quiet until";
  return (
    <p className="text-[0.8125rem] text-soft">
      {timingInWords(timing)}.{" "}
      {enabled && held_until && (
        <span className="text-wait">
          {what} <time dateTime={held_until}>{momentInWords(held_until)}</time>
        </span>
      )}
    </p>
  );
}

/** Whether messages arrive, and when the last one was sent. */
function Health({ channel }: { channel: AlertChannel }) {
  const { id, enabled, disabled_reason, failing_since, last_delivery: last } = channel;
  return (
    <div className="mt-1 text-[0.8125rem] text-soft">
      {!enabled && <p className="text-wait">Disabled. {disabled_reason || "Nothing is sent to it."}</p>}
      {enabled && failing_since && (
        <p className="text-bad">
          It has accepted nothing since <RelativeTime time={failing_since} />. {last?.problem}
        </p>
      )}
      <p>
        {last ? (
          <>
            Last delivery:{" "}
            <Link to="/alerts/deliveries" search={{ channel: id }} className="link">
              {LAST_WORDS[last.state]}
              {last.answer_status !== null && ` (${last.answer_status})`}
            </Link>{" "}
            <RelativeTime time={last.sent_at ?? last.created_at} />
          </>
        ) : (
          "Nothing was sent to it yet."
        )}
      </p>
    </div>
  );
}

const LAST_WORDS = {
  pending: "pending",
  sent: "accepted",
  failed: "failed",
  snoozed: "snoozed",
  skipped: "skipped",
};

/** What became of a test message. */
function TestResult({ id }: { id: string }) {
  const { data: delivery } = useQuery(deliveryQuery(id));
  return (
    <p className="mt-2 flex flex-wrap items-center gap-2 rounded-card bg-hover px-3 py-2 wrap-anywhere">
      <span className="font-medium">Test message</span>
      {delivery ? (
        <>
          <DeliveryState {...delivery} />
          <span className="text-soft">
            <Outcome delivery={delivery} />
          </span>
        </>
      ) : (
        <span className="text-soft">It is being sent…</span>
      )}
    </p>
  );
}
