// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { TestState } from "./test-state";

afterEach(cleanup);

const [EARLY, LATE] = ["2026-03-01T10:00:00Z", "2026-03-01T10:00:00.500Z"];

it.each([
  [null, null, null, "Not tested"],
  [true, EARLY, null, "Passed"],
  [false, EARLY, null, "Failed"],
  [null, null, LATE, "Worked in a run"],
  [false, EARLY, LATE, "Worked in a run"],
  [true, EARLY, LATE, "Worked in a run"],
  [false, LATE, EARLY, "Failed"],
])("a test %s at %s and a run at %s: %s", (check_ok, checked_at, worked_at, words) => {
  render(<TestState connector={{ check_ok, checked_at, worked_at }} />);
  expect(screen.getByText(words)).toBeTruthy();
});
