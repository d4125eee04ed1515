import { fieldInWords, valueInWords } from "./change";
import { formatDuration } from "./duration";
import { isId } from "./id";
import { nameInWords } from "./name";
import { formatBytes } from "./number";
import { scheduleInWords } from "./schedule";
import { absoluteTime } from "./time";

/** What the sentence about an event is made of. A change is `[before, after]` or a single value. */
export interface RecordedEvent {
  action: string;
  actor_label?: string;
  object_kind: string;
  object_label: string;
  changes: Record<string, unknown>;
}

/** How the page calls what the log has by its e-mail address or technical name. */
export interface Names {
  /** The name of the person with this address, or the address if it belongs to nobody in the organization. */
  person: (email: string) => string;
  /** The title of a kind of connector, such as PostgreSQL. */
  kind: (kind: string) => string;
}

const AS_RECORDED: Names = { person: (email) => email, kind: nameInWords };

/** What each action is called. The name of the object follows, and for `…` it takes this place. */
export const ACTIONS: Record<string, string> = {
  "agent_model.check": "tested the model of the agent:",
  "agent_model.remove": "removed the model of the agent:",
  "agent_model.save": "changed the model of the agent:",
  "alert.snooze": "snoozed the alert of",
  "alert.wake": "ended the snooze of the alert of",
  "alert_channel.create": "created the alert channel",
  "alert_channel.delete": "deleted the alert channel",
  "alert_channel.disable": "disabled the alert channel, because it had failed for a week:",
  "alert_channel.test": "tested the alert channel",
  "alert_channel.update": "changed the alert channel",
  "alert_delivery.replay": "sent an alert again to",
  "alert_rule.create": "created the alert rule",
  "alert_rule.delete": "deleted the alert rule",
  "alert_rule.snooze": "snoozed the alert rule",
  "alert_rule.update": "changed the alert rule",
  "alert_rule.wake": "ended the snooze of the alert rule",
  "api_key.create": "created the API key",
  "api_key.revoke": "revoked the API key",
  "api_key.rotate": "rotated the API key",
  "approval.answer": "answered the agent's question in",
  "approval.approve": "approved the agent's proposal in",
  "approval.edit": "edited and approved the agent's proposal in",
  "approval.reject": "rejected the agent's proposal in",
  "audit.export": "downloaded the audit log",
  "backfill.cancel": "cancelled the backfill of",
  "backfill.create": "started a backfill of",
  "connector.create": "created the connector",
  "connector.delete": "deleted the connector",
  "connector.update": "changed the connector",
  "conversation.create": "started the conversation",
  "conversation.delete": "deleted the conversation",
  "conversation.document": "added a document to the conversation",
  "conversation.export": "downloaded the conversation",
  "conversation.message": "wrote to the agent in",
  "conversation.retry": "let the agent try again in",
  "conversation.settings": "entered settings for the agent in",
  "conversation.stop": "stopped the agent in",
  "conversation.update": "renamed the conversation",
  "custom_source.approve": "approved the custom source",
  "custom_source.archive": "archived the custom source",
  "custom_source.create": "created the custom source",
  "custom_source.delete": "deleted the custom source",
  "custom_source.update": "changed the custom source",
  "data.downloaded": "downloaded an output of",
  "data.viewed": "viewed records of",
  "domain.clear_role": "removed a domain role in",
  "domain.create": "created the domain",
  "domain.delete": "deleted the domain",
  "domain.rename": "renamed the domain",
  "domain.set_role": "set a domain role in",
  "drift.accept": "accepted a change at the source of",
  "drift.ignore": "ignored a change at the source of",
  "drift.pause": "paused … because of a change at its source",
  "file.delete": "deleted the file",
  "file.replace": "replaced the file",
  "file.upload": "uploaded the file",
  "follow_up.create": "added a call after the runs of a pipeline:",
  "follow_up.delete": "deleted a call after the runs of a pipeline:",
  "follow_up.test": "tested a call after the runs of a pipeline:",
  "follow_up.update": "changed a call after the runs of a pipeline:",
  "freshness_page.create": "created the freshness page",
  "freshness_page.delete": "deleted the freshness page",
  "freshness_page.renew_link": "renewed the link of the freshness page",
  "freshness_page.update": "changed the freshness page",
  "hook.create": "created the hook",
  "hook.delete": "deleted the hook",
  "hook.rotate": "renewed the secret of the hook",
  "hook.update": "changed the hook",
  "identity_provider.link": "linked an account of the identity provider:",
  "identity_provider.remove": "removed single sign-on",
  "identity_provider.save": "changed single sign-on",
  "invitation.accept": "accepted an invitation",
  "invitation.create": "invited",
  "invitation.resend": "sent the invitation again to",
  "invitation.withdraw": "withdrew the invitation of",
  "member.change_role": "changed the role of",
  "member.join": "added the member",
  "member.leave": "removed the member",
  "member.remove": "removed the member",
  "operator.access": "requested access to this organization",
  "operator.list": "listed rows of this organization",
  "operator.resume": "resumed this organization",
  "operator.suspend": "suspended this organization",
  "operator.view": "viewed a row of this organization:",
  "org.create": "created the organization",
  "org.delete": "requested the deletion of the organization",
  "org.export": "exported the organization",
  "org.restore": "restored the organization",
  "org.rotate_key": "renewed the encryption key of the organization",
  "org.transfer": "transferred the ownership to",
  "org.update": "changed the settings of the organization",
  "pipeline.create": "created the pipeline",
  "pipeline.delete": "deleted the pipeline",
  "pipeline.dependencies": "changed after which pipelines … runs",
  "pipeline.duplicate": "duplicated a pipeline as",
  "pipeline.file_watch": "changed whether new files start",
  "pipeline.restore": "restored an earlier version of",
  "pipeline.streams": "decided about new streams of",
  "pipeline.update": "changed the pipeline",
  "repository.create": "connected the repository",
  "repository.delete": "disconnected the repository",
  "repository.renew_webhook_secret": "renewed the webhook secret of",
  "repository.sync": "synchronized the repository",
  "repository.update": "changed the repository",
  "run.cancel": "cancelled a run of",
  "run.replay": "sent rejected records again in",
  "run.retry": "retried a run of",
  "run.start": "started a run of",
  "schedule.pause": "paused the schedule of",
  "schedule.resume": "resumed the schedule of",
  "scim_group.create": "created the group",
  "scim_group.delete": "deleted the group",
  "scim_group.members": "changed the members of the group",
  "scim_group.set_role": "set the role of the group",
  "scim_group.update": "changed the group",
  "scim_user.create": "added the user",
  "scim_user.delete": "removed the user",
  "scim_user.update": "changed the user",
  "service_account.create": "created the service account",
  "state.put": "replaced the state of",
  "state.reset": "reset the state of",
  "state.restore": "restored an earlier state of",
  "tool_request.approve": "approved the request for",
  "tool_request.reject": "rejected the request for",
  "verified_domain.add": "added the e-mail domain",
  "verified_domain.lapse": "no longer verifies the e-mail domain",
  "verified_domain.remove": "removed the e-mail domain",
  "verified_domain.verify": "verified the e-mail domain",
  "view.create": "saved the view",
  "view.delete": "deleted the view",
  "view.update": "changed the view",
};

/** What a person did to the own membership. The name is not repeated. */
const OWN_MEMBERSHIP: Record<string, string> = {
  "member.join": "joined the organization",
  "member.leave": "left the organization",
};

/** The action without an object, such as "Started a run". */
export function actionInWords(action: string): string {
  const known = OWN_MEMBERSHIP[action] ?? ACTIONS[action] ?? nameInWords(action.split(".").at(-1) ?? action);
  const phrase = known.replace("… ", "").replace(/( of| in| to| the| for| as)?:?$/, "");
  return phrase.charAt(0).toUpperCase() + phrase.slice(1);
}

/** Returns the name of the actor, and of the person for whom it acted. */
export function actorInWords(
  event: { actor_label: string; on_behalf_of?: { name: string } | null },
  { person } = AS_RECORDED,
): string {
  const actor = person(event.actor_label);
  return event.on_behalf_of ? `${actor} for ${person(event.on_behalf_of.name)}` : actor;
}

const MAX_VALUE_LENGTH = 60; // characters of a value inside the sentence; longer ones are in the list below it

/** Says what was done, after the name of who did it: "changed the schedule of Orders from Hourly to Daily at 06:00". */
export function eventInWords(event: RecordedEvent, names = AS_RECORDED): string {
  const own = event.actor_label === event.object_label ? OWN_MEMBERSHIP[event.action] : undefined;
  if (own) return own;
  if (event.action === "invitation.accept") return acceptanceInWords(event, names);
  const phrase = ACTIONS[event.action] ?? unknownAction(event);
  return oneChangeInWords(event, names) ?? withObject(phrase, names.person(event.object_label));
}

/** The changes of the event as lines, without one that `eventInWords` has said already. */
export function changeLines(event: RecordedEvent, names = AS_RECORDED): string[] {
  if (oneChangeInWords(event, names) !== null) return [];
  return changesOf(event, names).map((change) => lineOf(change, isChangeOfSettings(event)));
}

function lineOf({ field, before, after, isHidden }: Change, isChangeOfSettings: boolean): string {
  if (isHidden && isEmpty(after)) return `${field} removed`;
  if (isHidden) return isEmpty(before) && field !== CODE ? `${field} set` : `${field} changed`;
  if (before === after) return `${field}: ${after}`;
  if (isEmpty(after)) return isChangeOfSettings ? `${field} removed (was ${before})` : `${field}: ${before}`;
  if (!isEmpty(before)) return `${field} changed from ${before} to ${after}`;
  return isChangeOfSettings ? `${field} set to ${after}` : `${field}: ${after}`;
}

/** Whether the values are settings that the object has got. Otherwise they describe what was done. */
function isChangeOfSettings({ action }: RecordedEvent): boolean {
  return /\.(update|save|change_role|set_role|clear_role|put|rename|members|streams)$/.test(action);
}

/** The actor is who was invited. The invitation is of the person who has sent it, whom earlier releases did not record. */
function acceptanceInWords({ changes }: RecordedEvent, { person }: Names): string {
  const [, inviter] = (changes.invited_by as [null, string] | undefined) ?? [];
  return inviter ? `accepted the invitation of ${person(inviter)}` : ACTIONS["invitation.accept"]!;
}

function withObject(phrase: string, label: string): string {
  return phrase.includes("…") ? phrase.replace("…", label) : `${phrase} ${label}`.trim();
}

/** Actions of a later release are shown with their technical name. */
function unknownAction({ action, object_kind }: RecordedEvent): string {
  const verb = action.split(".").at(-1) ?? action;
  return `${nameInWords(verb).toLowerCase()}: ${nameInWords(object_kind).toLowerCase()}`;
}

/** A sentence with the value before and after, if the event has changed only one setting that has both. */
function oneChangeInWords(event: RecordedEvent, names: Names): string | null {
  if (!/\.(update|change_role|rename)$/.test(event.action)) return null;
  const [change, ...others] = changesOf(event, names);
  if (!change || others.length > 0 || isEmpty(change.before) || isEmpty(change.after)) return null;
  if (change.isHidden || change.before === change.after) return null;
  if (change.before.length > MAX_VALUE_LENGTH || change.after.length > MAX_VALUE_LENGTH) return null;
  const field = change.field.charAt(0).toLowerCase() + change.field.slice(1);
  const values = `from ${change.before} to ${change.after}`;
  return `changed the ${field} of ${names.person(event.object_label)} ${values}`;
}

/** One line of the list. The values of a hidden change say nothing to a reader, such as the digest of code. */
interface Change {
  field: string;
  before: string;
  after: string;
  isHidden: boolean;
}

/** What the sentence has said already, or what says nothing to a reader. */
const UNLISTED = ["decision", "invited_by"];

function changesOf(event: RecordedEvent, names: Names): Change[] {
  const leaves = Object.entries(event.changes)
    .filter(([field]) => !UNLISTED.includes(field))
    .flatMap(([field, change]) => {
      const [before, after] = Array.isArray(change) && change.length === 2 ? change : [null, change];
      // The settings of a new pipeline are recorded below `config`, those of a changed one are not.
      return leavesOf(field.replace(/^config\./, ""), before as unknown, after as unknown);
    });
  const { schedule, others } = takeSchedule(leaves);
  const changes = others.map((leaf) => describe(leaf, event.action, names));
  // The code of a new object is not a change.
  const isNew = event.action.endsWith(".create");
  return [...(schedule ? [schedule] : []), ...changes].filter(
    (change) => saysSomething(change) && !(isNew && change.isHidden),
  );
}

interface Leaf {
  field: string;
  before: unknown;
  after: unknown;
}

/** The settings inside of settings that differ, such as `config.host` of `config`. */
function leavesOf(field: string, before: unknown, after: unknown): Leaf[] {
  const isNested = [before, after].every((side) => side === null || isSettings(side));
  if (!isNested || (before === null && after === null)) return [{ field, before, after }];
  const sides = [before ?? {}, after ?? {}] as Record<string, unknown>[];
  const keys = new Set(sides.flatMap((side) => Object.keys(side)));
  return [...keys].flatMap((key) => {
    const [old, now] = sides.map((side) => side[key] ?? null);
    if (before !== null && after !== null && JSON.stringify(old) === JSON.stringify(now)) return [];
    return leavesOf(field === "config" ? key : `${field}.${key}`, old, now);
  });
}

function isSettings(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isHint(value);
}

/** Whether this is what the server shows of a secret. */
function isHint(value: unknown): boolean {
  return typeof value === "object" && value !== null && "set" in value;
}

function describe({ field, before, after }: Leaf, action: string, names: Names): Change {
  const isHidden =
    /(^|\.)(sha256|key|token|client_secret)$/.test(field) ||
    [before, after].some((side) => hasNoWords(field, side));
  return {
    field: fieldName(field, action, names),
    before: text(field, before, names),
    after: text(field, after, names),
    isHidden,
  };
}

/** Whether the value is the hint of a secret, code of which the log has only the digest, or a list of objects. */
function hasNoWords(field: string, value: unknown): boolean {
  const words = valueInWords(field, value);
  if (Array.isArray(words)) return words.some((item) => typeof item === "object" && item !== null);
  return typeof words === "object" && words !== null;
}

const CODE = "Code"; // earlier releases have recorded no digest of the code before

/** What the log calls in another way than the forms do. */
const FIELDS: Record<string, string> = {
  channels: "channels",
  settings: "settings",
  approved: "Approved version",
  bytes: "Size",
  change: "Change",
  deletion_at: "Erased on",
  from: "From",
  grace_seconds: "The old key works for",
  hosts: "Allowed hosts",
  incident_days: "Days for which incidents are shown",
  kind: "Kind",
  pipelines: "Pipelines",
  prefix: "Beginning of the key",
  records: "Records",
  snoozed_until: "Snoozed until",
  timing: "When it sends",
  secrets_replaced: "Replaced secrets",
  sha256: CODE,
  side: "Position",
  state: "Position",
  subject: "Account at the provider",
  to: "To",
};

/** A setting of a source or destination that only this pipeline has. */
const OWN_SETTING = /^(source|destination)\.config\.(.+)$/;

function fieldName(field: string, action: string, { person }: Names): string {
  if (action.startsWith("domain.") && action.endsWith("_role")) return `Role of ${person(field)}`;
  if (action === "pipeline.streams") return `Stream ${field.replace(/^streams\./, "")}`;
  if (Object.hasOwn(FIELDS, field)) return FIELDS[field]!;
  const [, side, setting] = OWN_SETTING.exec(field) ?? [];
  if (setting) return `${nameInWords(setting.replaceAll(".", " "))} of the ${side}`;
  const name = fieldInWords(field);
  return name === field ? nameInWords(field.replaceAll(".", " ")) : name;
}

/** Ids say nothing to a reader, and neither does a setting that was empty and still is. */
function saysSomething({ before, after }: Change): boolean {
  const hasOnlyIds = [before, after].every((value) => value === "" || isId(value));
  return !hasOnlyIds && !(isEmpty(before) && isEmpty(after));
}

const SCHEDULE_FIELDS = ["schedule.cron", "schedule.interval_seconds"];

/** Takes the fields that together say when the pipeline runs, as one change. */
function takeSchedule(leaves: Leaf[]): { schedule: Change | null; others: Leaf[] } {
  const others = leaves.filter(({ field }) => !SCHEDULE_FIELDS.includes(field));
  if (others.length === leaves.length) return { schedule: null, others };
  // Of a schedule that is new or removed, the times are enough: the rest has its usual values.
  const isWhole = leaves.some(
    ({ field, before, after }) => field === "schedule.overlap" && (!before || !after),
  );
  const at = (side: "before" | "after") => {
    const value = (field: string) => leaves.find((leaf) => leaf.field === field)?.[side];
    return scheduleInWords({
      cron: value("schedule.cron") as string | null | undefined,
      interval_seconds: value("schedule.interval_seconds") as number | null | undefined,
    }).replace(" (UTC)", "");
  };
  return {
    schedule: { field: "Schedule", before: at("before"), after: at("after"), isHidden: false },
    others: isWhole ? others.filter(({ field }) => !field.startsWith("schedule.")) : others,
  };
}

/** Fields whose values are technical names. */
const NAMED_VALUES = [
  "change",
  "provider",
  "records",
  "scopes",
  "trigger",
  "schedule.overlap",
  "schedule.misfire",
];

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+(Z|[+-]\d\d:\d\d)$/;

function text(field: string, value: unknown, names: Names): string {
  const words = valueInWords(field, value);
  if (words === null || words === undefined) return "";
  if (typeof words === "string") {
    if (/(^|\.)kind$/.test(field)) return names.kind(words);
    if (TIME.test(words)) return absoluteTime(words);
    const isNamed = NAMED_VALUES.includes(field) || field.endsWith(".type");
    return isNamed ? nameInWords(words.replaceAll(".", " ")) : words;
  }
  if (typeof words === "number") return numberInWords(field, words);
  if (Array.isArray(words)) return words.map((value) => text(field, value, names)).join(", ");
  return "set"; // is not shown, see `hasNoWords`
}

function numberInWords(field: string, value: number): string {
  if (/(^|_|\.)bytes$/.test(field)) return formatBytes(value);
  if (/_seconds$/.test(field)) return formatDuration(value);
  return String(value);
}

function isEmpty(value: string): boolean {
  return value === "";
}
