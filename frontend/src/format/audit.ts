import { fieldInWords, valueInWords } from "./change";
import { isId } from "./id";
import { nameInWords } from "./name";
import { scheduleInWords } from "./schedule";

/** What the sentence about an event is made of. A change is `[before, after]` or a single value. */
export interface RecordedEvent {
  action: string;
  object_kind: string;
  object_label: string;
  changes: Record<string, unknown>;
}

/** What each action is called. The name of the object follows, and for `…` it takes this place. */
export const ACTIONS: Record<string, string> = {
  "agent_model.check": "tested the model of the agent:",
  "agent_model.remove": "removed the model of the agent:",
  "agent_model.save": "changed the model of the agent:",
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
  "identity_provider.link": "linked an account of the identity provider:",
  "identity_provider.remove": "removed single sign-on",
  "identity_provider.save": "changed single sign-on",
  "invitation.accept": "accepted the invitation of",
  "invitation.create": "invited",
  "invitation.resend": "sent the invitation again to",
  "invitation.withdraw": "withdrew the invitation of",
  "member.change_role": "changed the role of",
  "member.join": "joined:",
  "member.leave": "left:",
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
  "pipeline.duplicate": "duplicated a pipeline as",
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

/** The action without an object, such as "Started a run". */
export function actionInWords(action: string): string {
  const phrase = (ACTIONS[action] ?? action).replace("… ", "").replace(/( of| in| to| the| for| as)?:?$/, "");
  return phrase.charAt(0).toUpperCase() + phrase.slice(1);
}

/** Returns the name of the actor, and of the person for whom it acted. */
export function actorInWords(event: { actor_label: string; on_behalf_of?: { name: string } | null }): string {
  const person = event.on_behalf_of;
  return person ? `${event.actor_label} for ${person.name}` : event.actor_label;
}

const MAX_VALUE_LENGTH = 60; // characters of a value inside the sentence; longer ones are in the list below it

/** Says what was done, after the name of who did it: "changed the schedule of Orders from Hourly to Daily at 06:00". */
export function eventInWords(event: RecordedEvent): string {
  return (
    oneChangeInWords(event) ?? withObject(ACTIONS[event.action] ?? unknownAction(event), event.object_label)
  );
}

/** The changes of the event as lines, without one that `eventInWords` has said already. */
export function changeLines(event: RecordedEvent): string[] {
  if (oneChangeInWords(event) !== null) return [];
  return changesOf(event).map(({ field, before, after }) => {
    if (isEmpty(after)) return `${field} removed (was ${before})`;
    return isEmpty(before) ? `${field} set to ${after}` : `${field} changed from ${before} to ${after}`;
  });
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
function oneChangeInWords(event: RecordedEvent): string | null {
  if (!/\.(update|change_role|rename)$/.test(event.action)) return null;
  const [change, ...others] = changesOf(event);
  if (!change || others.length > 0 || isEmpty(change.before) || isEmpty(change.after)) return null;
  if (change.before.length > MAX_VALUE_LENGTH || change.after.length > MAX_VALUE_LENGTH) return null;
  const field = change.field.charAt(0).toLowerCase() + change.field.slice(1);
  const values = `from ${change.before} to ${change.after}`;
  return `changed the ${field} of ${event.object_label} ${values}`;
}

interface Change {
  field: string;
  before: string;
  after: string;
}

function changesOf(event: RecordedEvent): Change[] {
  const { schedule, others } = takeSchedule(withoutPrefix(event.changes));
  const changes = Object.entries(others).map(([field, change]) => {
    const [before, after] = Array.isArray(change) && change.length === 2 ? change : [null, change];
    const name = fieldInWords(field);
    return {
      field: name === field ? nameInWords(field) : name,
      before: text(field, before),
      after: text(field, after),
    };
  });
  return [...(schedule ? [schedule] : []), ...changes].filter(saysSomething);
}

/** The settings of a new pipeline are recorded below `config`, those of a changed one are not. */
function withoutPrefix(changes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(changes).map(([field, change]) => [field.replace(/^config\./, ""), change]),
  );
}

/** Ids say nothing to a reader, and neither does a setting that was empty and still is. */
function saysSomething({ before, after }: Change): boolean {
  const hasOnlyIds = [before, after].every((value) => value === "" || isId(value));
  return !hasOnlyIds && !(isEmpty(before) && isEmpty(after));
}

const SCHEDULE_FIELDS = ["schedule.cron", "schedule.interval_seconds"];

/** Takes the fields that together say when the pipeline runs, as one change. */
function takeSchedule(changes: Record<string, unknown>) {
  const others = Object.fromEntries(
    Object.entries(changes).filter(([field]) => !SCHEDULE_FIELDS.includes(field)),
  );
  if (Object.keys(others).length === Object.keys(changes).length) return { schedule: null, others };
  const at = (side: 0 | 1) => {
    const value = (field: string) => (changes[field] as unknown[] | undefined)?.[side];
    return scheduleInWords({
      cron: value("schedule.cron") as string | null | undefined,
      interval_seconds: value("schedule.interval_seconds") as number | null | undefined,
    }).replace(" (UTC)", "");
  };
  return { schedule: { field: "Schedule", before: at(0), after: at(1) }, others };
}

function text(field: string, value: unknown): string {
  const words = valueInWords(field, value);
  if (words === null || words === undefined || words === "") return "";
  return typeof words === "string" ? words : JSON.stringify(words);
}

function isEmpty(value: string): boolean {
  return value === "" || value === "[]" || value === "{}";
}
