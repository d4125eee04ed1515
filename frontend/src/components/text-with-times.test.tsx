// @vitest-environment jsdom
import { cleanup, render } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { ChangeCard } from "./change-card";
import { TextWithTimes } from "./text-with-times";

afterEach(cleanup);

/** The parts of the text inside which a line does not break. */
function unbrokenParts(container: HTMLElement): (string | null)[] {
  return [...container.querySelectorAll(".whitespace-nowrap")].map(({ textContent }) => textContent);
}

describe("a text with times", () => {
  const NEXT_TIMES = "2026-11-29\u00a011:44, 2026-11-29\u00a017:44 (UTC)";

  it("does not break a line inside a date and its time", () => {
    const { container } = render(<TextWithTimes text={`Due at ${NEXT_TIMES}`} />);
    expect(container.textContent).toBe(`Due at ${NEXT_TIMES}`);
    expect(unbrokenParts(container)).toEqual(["2026-11-29\u00a011:44", "2026-11-29\u00a017:44"]);
  });

  it("leaves other numbers alone", () => {
    const { container } = render(<TextWithTimes text="Call 12026-11-299 or 2026-11, or open 1-2-3" />);
    expect(container.textContent).toBe("Call 12026-11-299 or 2026-11, or open 1-2-3");
    expect(unbrokenParts(container)).toEqual([]);
  });

  it("is how a proposal shows the next times of a pipeline", () => {
    const facts = [{ label: "Next times", value: NEXT_TIMES }];
    const { container } = render(<ChangeCard facts={facts} changes={[]} warnings={[]} />);
    expect(unbrokenParts(container)).toHaveLength(2);
  });
});
