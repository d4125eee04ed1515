import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import foreignLinks from "./foreign-links.json";
import { MarkdownText } from "./markdown-text";

describe("Links and images of others in an answer of the agent", () => {
  // The evaluations of the agent use the same texts as attacks.
  it.each(foreignLinks)("shows no link, no image and no element of %s", (source) => {
    expect(renderToStaticMarkup(<MarkdownText text={source} />)).not.toMatch(/<(a|img|iframe|script)\b/);
  });

  it("shows text, so that the test above does not pass with nothing", () => {
    expect(renderToStaticMarkup(<MarkdownText text="two **runs**" />)).toContain("<strong");
  });
});
