import { expect, it } from "vitest";
import { actionInWords, actorInWords, changeLines, eventInWords, type RecordedEvent } from "./audit";

const event = (action: string, changes: Record<string, unknown> = {}, label = "Orders"): RecordedEvent => ({
  action,
  object_kind: action.split(".")[0]!,
  object_label: label,
  changes,
});

const plan = (times: { cron?: string; interval_seconds?: number; blackouts?: object[] }) => ({
  cron: null, interval_seconds: null, timezone: "UTC", overlap: "skip", misfire: "run_once", jitter_seconds: 0, ...times,
}); // prettier-ignore

it.each<[RecordedEvent, string]>([
  [
    event("pipeline.update", { schedule: [plan({ interval_seconds: 3600 }), plan({ cron: "0 6 * * *" })] }),
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
  [
    event("pipeline.update", { schedule: [null, plan({ interval_seconds: 3600 })] }),
    "changed the schedule of Orders from Manual to Every hour",
  ],
  [
    {
      ...event(
        "invitation.accept",
        { role: [null, "viewer"], invited_by: [null, "ada@example.com"] },
        "mia@example.com",
      ),
    },
    "accepted the invitation of ada@example.com",
  ],
  [event("invitation.accept", { role: [null, "viewer"] }, "mia@example.com"), "accepted an invitation"],
  [
    { ...event("member.leave", {}, "mia@example.com"), actor_label: "mia@example.com" },
    "left the organization",
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
    "Tags set to daily",
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
  expect(changeLines(event("pipeline.create", changes))).toEqual(["Write mode: Append"]);
});

it("a setting of a pipeline's own source or destination is called as in its form", () => {
  const changes = {
    "config.source.config.rows": [null, 1000],
    "config.destination.config.table_name": [null, "orders"],
  };
  expect(changeLines(event("pipeline.create", changes))).toEqual([
    "Rows of the source: 1000",
    "Table name of the destination: orders",
  ]);
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
  ["member.join", "Joined the organization"],
])("the filter calls %s: %s", (action, words) => {
  expect(actionInWords(action)).toBe(words);
});

it("people and kinds of connectors are called by their names", () => {
  const names = {
    person: (email: string) => (email === "mia@example.com" ? "Mia" : email),
    kind: (kind: string) => (kind === "postgres" ? "PostgreSQL" : kind),
  };
  expect(
    eventInWords(event("member.change_role", { role: ["viewer", "admin"] }, "mia@example.com"), names),
  ).toBe("changed the role of Mia from viewer to admin");
  expect(actorInWords({ actor_label: "mia@example.com" }, names)).toBe("Mia");
  expect(changeLines(event("domain.set_role", { "mia@example.com": [null, "viewer"] }), names)).toEqual([
    "Role of Mia set to viewer",
  ]);
  expect(changeLines(event("connector.create", { kind: [null, "postgres"] }), names)).toEqual([
    "Kind: PostgreSQL",
  ]);
});

const DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

it.each<[RecordedEvent, string[]]>([
  [
    event("connector.create", {
      config: [
        null,
        {
          host: "db.example.com",
          password: { set: true, last4: "abcd" },
          tls: { mode: "require" },
          auth: { type: "api_key" },
        },
      ],
    }),
    ["Host: db.example.com", "TLS mode: require", "Auth type: API key"],
  ],
  [
    event("connector.update", {
      config: [
        { host: "a", port: 5432, password: { set: true, last4: "abcd" } },
        { host: "b", port: 5432, password: { set: true, last4: "efgh" } },
      ],
      name: ["A", "B"],
    }),
    ["Host changed from a to b", "Password changed", "Name changed from A to B"],
  ],
  [event("file.upload", { bytes: [null, 4_100_000] }), ["Size: 4.1\u00a0MB"]],
  [
    event("custom_source.update", {
      version: [1, 2],
      sha256: [null, DIGEST],
      hosts: [null, ["api.example.com"]],
    }),
    ["Version changed from 1 to 2", "Code changed", "Allowed hosts set to api.example.com"],
  ],
  [
    event("custom_source.update", { version: [1, 2], sha256: [`0${DIGEST.slice(1)}`, DIGEST] }),
    ["Version changed from 1 to 2", "Code changed"],
  ],
  [
    event("custom_source.approve", {
      hosts: [["api.example.com"], ["api.example.com", "auth.example.com"]],
      approved: [1, 2],
    }),
    [
      "Allowed hosts changed from api.example.com to api.example.com, auth.example.com",
      "Approved version changed from 1 to 2",
    ],
  ],
  [
    event("pipeline.update", {
      schedule: [
        plan({ cron: "0 6 * * *", blackouts: [] }),
        plan({ cron: "0 6 * * *", blackouts: [{ first_day: "2026-12-24", last_day: "2026-12-26" }] }),
      ],
    }),
    ["Blackouts set to 24 December 2026 to 26 December 2026"],
  ],
  [
    event("pipeline.update", {
      "config.streams.0.transforms": [[], [{ kind: "python", sha256: DIGEST }]],
      description: ["", "Nightly"],
    }),
    ["Transforms set", "Description set to Nightly"],
  ],
  [
    event("drift.accept", {
      stream: ["orders", "orders"], change: ["column_added", "column_added"], decision: [null, "accept"],
    }), // prettier-ignore
    ["Stream: orders", "Change: Column added"],
  ],
  [
    event("pipeline.streams", { "streams.public.orders": ["waiting", "included"] }),
    ["Stream public.orders changed from waiting to included"],
  ],
])("the details of an event are words: %j", (recorded, lines) => {
  expect(changeLines(recorded)).toEqual(lines);
});

it("no detail shows JSON or the code name of a field, whatever is recorded", () => {
  const values = [
    null,
    true,
    0,
    1.5,
    "text",
    [],
    ["a", "b"],
    [{ a_b: 1 }],
    {},
    { a_b: { c_d: [1] } },
    { set: true },
  ];
  const fields = ["max_things", "config", "config.streams.0.filters", "grace_seconds", "sha256", "a.b_c"];
  const actions = ["pipeline.update", "connector.create", "org.update", "later.release"];
  for (const action of actions)
    for (const field of fields)
      for (const before of values)
        for (const after of values) {
          const recorded = event(action, { [field]: [before, after] });
          const shown = [eventInWords(recorded), ...changeLines(recorded)].join("\n");
          expect(shown).not.toMatch(/[{}[\]"_]|\b[a-z]\.[a-z]|undefined|null/);
        }
});
