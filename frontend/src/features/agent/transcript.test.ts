import { describe, expect, it } from "vitest";
import {
  applyEvent,
  isLive,
  latestCode,
  openRequests,
  type Conversation,
  type RequestItem,
} from "./transcript";

const EMPTY: Conversation = { id: "c1", title: "", event_sequence: 0, earlier_turns: 0, turns: [] };

type Step = [kind: string, body: Record<string, unknown>];

/** Applies the events to the conversation, numbered from the next one on, all for turn 1. */
function follow(conversation: Conversation, ...steps: Step[]): Conversation {
  return steps.reduce(
    (current, [kind, body]) =>
      applyEvent(current, { number: current.event_sequence + 1, kind, body: { turn: 1, ...body } }),
    conversation,
  );
}

const STARTED: Step = ["turn_started", { text: "Which pipelines are there?" }];
const APPROVAL: Step = [
  "approval_required",
  { id: "a1", state: "open", tool: "set_pipeline_enabled", title: "Enable", card: {}, arguments: {} },
];

describe("the transcript of a conversation", () => {
  it("joins the tokens of a message, and keeps messages apart", () => {
    const { turns } = follow(
      EMPTY,
      STARTED,
      ["token", { message: "m1", text: "There " }],
      ["token", { message: "m1", text: "is one." }],
      ["token", { message: "m2", text: "Done." }],
    );
    expect(turns[0]!.items).toEqual([
      { type: "message", id: "m1", text: "There is one." },
      { type: "message", id: "m2", text: "Done." },
    ]);
  });

  it("removes a message that the agent has begun again", () => {
    const { turns } = follow(
      EMPTY,
      STARTED,
      ["token", { message: "m1", text: "There a" }],
      ["message_discarded", { message: "m1" }],
      ["token", { message: "m2", text: "There are two." }],
    );
    expect(turns[0]!.items).toEqual([{ type: "message", id: "m2", text: "There are two." }]);
  });

  it("adds the result to its tool call", () => {
    const links = [{ label: "flights", path: "/pipelines/p1" }];
    const { turns } = follow(
      EMPTY,
      STARTED,
      ["tool_call", { id: "t1", tool: "list_pipelines", title: "List pipelines", arguments: {} }],
      ["tool_call", { id: "t2", tool: "list_streams", title: "List streams", arguments: {} }],
      ["tool_result", { id: "t1", state: "ok", summary: "1 pipeline", result: {}, links }],
    );
    expect(turns[0]!.items).toMatchObject([
      { id: "t1", state: "ok", summary: "1 pipeline", links },
      { id: "t2", state: "running" },
    ]);
  });

  it("has an open request until it is decided", () => {
    const asked = follow(EMPTY, STARTED, APPROVAL);
    expect(openRequests(asked.turns[0]).map(({ id }) => id)).toEqual(["a1"]);
    const decided = follow(asked, ["approval_resolved", { id: "a1", state: "rejected", reason: "Not now" }]);
    expect(openRequests(decided.turns[0])).toEqual([]);
    expect((decided.turns[0]!.items[0] as RequestItem).reason).toBe("Not now");
  });

  it("shows the changed card after an edit", () => {
    const { turns } = follow(EMPTY, STARTED, APPROVAL, [
      "approval_resolved",
      { id: "a1", state: "approved", edited: true, card: { title: "Disable flights" } },
    ]);
    expect(turns[0]!.items[0]).toMatchObject({ edited: true, card: { title: "Disable flights" } });
  });

  it("ends a turn with its usage and its error", () => {
    const { turns } = follow(
      EMPTY,
      STARTED,
      ["error", { code: "rate_limited", message: "Too many requests.", next_step: "Try again." }],
      ["usage", { input_tokens: 812, output_tokens: 64, model: "openai:gpt" }],
      ["done", { status: "failed" }],
    );
    expect(turns[0]).toMatchObject({ status: "failed", input_tokens: 812, model: "openai:gpt" });
    expect(turns[0]!.items[0]).toMatchObject({ type: "error", id: "error-0", code: "rate_limited" });
    expect(isLive(turns[0])).toBe(false);
  });

  it("continues the same turn when it is tried again", () => {
    const { turns } = follow(EMPTY, STARTED, ["done", { status: "failed" }], STARTED);
    expect(turns).toHaveLength(1);
    expect(isLive(turns[0])).toBe(true);
  });

  it("applies each event once, also if a reconnect delivers it again", () => {
    const before = follow(EMPTY, STARTED, ["token", { message: "m1", text: "Hello" }]);
    const repeated = { number: 2, kind: "token", body: { turn: 1, message: "m1", text: "Hello" } };
    expect(applyEvent(before, repeated)).toBe(before);
  });

  it("ignores a kind of event that it does not know", () => {
    const before = follow(EMPTY, STARTED);
    const after = follow(before, ["something_new", { text: "?" }]);
    expect(after.turns).toEqual(before.turns);
    expect(after.event_sequence).toBe(2);
  });
});

describe("the newest code of a source", () => {
  const call = (id: string, code?: string): Step => ["tool_call", { id, arguments: code ? { code } : {} }];

  it("is in the answer or in the arguments of a tool call", () => {
    const generated: Step = ["tool_result", { id: "t1", result: { code: "first" } }];
    expect(latestCode(follow(EMPTY, STARTED))).toBeNull();
    expect(latestCode(follow(EMPTY, STARTED, call("t1"), generated))).toBe("first");
    expect(latestCode(follow(EMPTY, STARTED, call("t1"), generated, call("t2", "second")))).toBe("second");
  });

  it("is in an approval, with the changes of the user", () => {
    const changes = [{ field: "code", before: null, after: "proposed" }];
    const proposed: Step = ["approval_required", { id: "a1", state: "open", card: { changes } }];
    const edited = [{ field: "code", before: null, after: "edited" }];
    const resolved: Step = ["approval_resolved", { id: "a1", state: "approved", card: { changes: edited } }];
    expect(latestCode(follow(EMPTY, STARTED, proposed))).toBe("proposed");
    expect(latestCode(follow(EMPTY, STARTED, proposed, resolved))).toBe("edited");
  });
});
