// @vitest-environment jsdom
import { cleanup, render } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import * as markdown from "./markdown";
import { MarkdownText } from "./markdown-text";

const PART =
  "A **late** run.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sql\nselect 1\n```\n\n";
const LONG_ANSWER = PART.repeat(300);

afterEach(cleanup);

describe("an answer", () => {
  it("has the elements of its Markdown", () => {
    const { container } = render(<MarkdownText text={PART} />);
    const names = ["strong", "li", "td", "pre"].map((name) => container.querySelectorAll(name).length);
    expect(names).toEqual([1, 2, 2, 1]);
  });

  it("has a list inside the item to which it belongs", () => {
    const { container } = render(<MarkdownText text={"1. sources\n   - Airports\n2. runs"} />);
    expect(container.querySelector("ol > li > ul > li")!.textContent).toBe("Airports");
    expect(container.querySelectorAll("ol > li")).toHaveLength(2);
  });

  it("is not rendered from the beginning for each of its tokens", () => {
    const { container, rerender } = render(<MarkdownText text={LONG_ANSWER} />);
    const parseInline = vi.spyOn(markdown, "parseInline");
    rerender(<MarkdownText text={`${LONG_ANSWER}The **next**`} />);
    expect(container.lastElementChild!.lastElementChild!.innerHTML).toBe(
      'The <strong class="font-semibold">next</strong>',
    );
    expect(parseInline.mock.calls.length).toBeLessThan(10);
  });
});
