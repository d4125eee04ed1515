import { expect, it } from "vitest";
import { actionInWords, actorInWords, changeLines, eventInWords, type RecordedEvent } from "./audit";

const event = (action: string, changes: Record<string, unknown> = {}, label = "Orders"): RecordedEvent => ({
  action,
  object_kind: action.split(".")[0]!,
  object_label: label,
  changes,
});

it.each<[RecordedEvent, string]>([
  [
    event("pipeline.update", {
      "schedule.interval_seconds": [3600, null],
      "schedule.cron": [null, "0 6 * * *"],
    }),
    "changed the schedule of Orders from Every hour to Daily at 06:00",
  ],
  [
    event("member.change_role", { role: ["viewer", "admin"] }, "mia@example.com"),
    "changed the role of mia@example.com from viewer to admin",
  ],
  [
    event("pipeline.update", { "streams.0.write_mode": ["append", "merge"] }),
    "changed the write mode of Orders from Append to Merge on primary key",
  ],
  [
    event("pipeline.update", { name: ["Order", "Orders"], tags: [[], ["daily"]] }),
    "changed the pipeline Orders",
  ],
  [event("drift.pause"), "paused Orders because of a change at its source"],
  [event("run.start"), "started a run of Orders"],
  [event("rocket.launch_all"), "launch all: rocket Orders"],
])("an event is a sentence", (recorded, sentence) => {
  expect(eventInWords(recorded)).toBe(sentence);
});

it("changes that the sentence has not said are listed", () => {
  const changes = { name: ["Order", "Orders"], tags: [[], ["daily"]], description: ["Nightly", ""] };
  expect(changeLines(event("pipeline.update", changes))).toEqual([
    "Name changed from Order to Orders",
    'Tags set to ["daily"]',
    "Description removed (was Nightly)",
  ]);
  expect(changeLines(event("member.change_role", { role: ["viewer", "admin"] }))).toEqual([]);
});

it("empty settings and ids of a new object are left out", () => {
  const id = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
  const changes = {
    "config.streams.0.write_mode": [null, "append"],
    "config.streams.0.primary_key": [null, []],
    "config.source.connector_id": [null, id],
    config: [null, {}],
  };
  expect(changeLines(event("pipeline.create", changes))).toEqual(["Write mode set to Append"]);
});

it("the actor is named, and the person for whom a program acted", () => {
  const person = { kind: "user", id: null, name: "ada@example.com" };
  expect(actorInWords({ actor_label: "Agent", on_behalf_of: person })).toBe("Agent for ada@example.com");
  expect(actorInWords({ actor_label: "ada@example.com" })).toBe("ada@example.com");
});

it.each([
  ["run.start", "Started a run"],
  ["drift.pause", "Paused because of a change at its source"],
  ["org.update", "Changed the settings of the organization"],
  ["member.join", "Joined"],
])("the filter calls %s: %s", (action, words) => {
  expect(actionInWords(action)).toBe(words);
});
