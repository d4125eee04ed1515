import { describe, expect, it } from "vitest";
import { announcementOf } from "./announcement";
import type { Item, RequestItem, Turn } from "./transcript";

function turn(status: string, ...items: unknown[]): Turn {
  return { status, items: items as Item[] } as Turn;
}

const ANSWER = { type: "message", id: "m1", text: "There are two." };
const REQUEST = {
  type: "approval",
  id: "a1",
  state: "open",
  title: "Enable",
  card: { title: "Enable flights" },
};

describe("what a screen reader announces", () => {
  it("is nothing while the agent is writing", () => {
    expect(announcementOf(turn("running", ANSWER))).toBe("");
  });

  it("is the whole answer once it is complete", () => {
    expect(announcementOf(turn("done", ANSWER))).toBe("The agent answered: There are two.");
  });

  it("has no signs and addresses of Markdown", () => {
    const text = "**Flights** failed ([open](/runs/1)). See [the log](/runs/1?line=7).";
    expect(announcementOf(turn("done", { ...ANSWER, text }))).toBe(
      "The agent answered: Flights failed. See the log.",
    );
  });

  it("is the request that waits for the user", () => {
    const waiting = turn("waiting", ANSWER, REQUEST as unknown as RequestItem);
    expect(announcementOf(waiting)).toBe("The agent needs your approval: Enable flights");
  });

  it("is the error with its next step", () => {
    const error = { type: "error", id: "error-0", message: "Refused.", next_step: "Try again." };
    expect(announcementOf(turn("failed", ANSWER, error))).toBe(
      "The agent could not finish: Refused. Try again.",
    );
  });
});
