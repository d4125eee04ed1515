import { expect, test } from "vitest";
import type { ToolRequest } from "@/api/types";
import { describeState } from "./states";

const REQUEST = { state: "open", reason: "", ok: null, summary: "" } as ToolRequest;

test("an approved request says that the program has to ask for the result", () => {
  expect(describeState({ ...REQUEST, state: "approved" })).toContain("when the program asks");
});

test("a failed call is not called done", () => {
  const failed = describeState({ ...REQUEST, state: "done", ok: false, summary: "The pipeline is gone." });
  expect(failed).toBe("It failed: The pipeline is gone.");
});

test("a rejection shows its reason", () => {
  expect(describeState({ ...REQUEST, state: "rejected", reason: "Not today" })).toBe("Rejected: Not today");
});
