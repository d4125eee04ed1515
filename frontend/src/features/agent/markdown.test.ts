import { describe, expect, it } from "vitest";
import { parseMarkdown } from "./markdown";

const text = (value: string) => ({ type: "text", text: value });

describe("Markdown of an answer", () => {
  it("has paragraphs, headings, lists and code", () => {
    expect(
      parseMarkdown("# Runs\n\nTwo runs\nfailed:\n- one\n- two\n\n```sql\nselect 1\n```\n3. third"),
    ).toEqual([
      { type: "heading", children: [text("Runs")] },
      { type: "paragraph", children: [text("Two runs\nfailed:")] },
      { type: "list", ordered: false, start: 1, items: [[text("one")], [text("two")]] },
      { type: "code", text: "select 1" },
      { type: "list", ordered: true, start: 3, items: [[text("third")]] },
    ]);
  });

  it("has tables", () => {
    expect(parseMarkdown("| name | rows |\n|---|---:|\n| flights | 10 |")).toEqual([
      { type: "table", head: [[text("name")], [text("rows")]], rows: [[[text("flights")], [text("10")]]] },
    ]);
  });

  it("has strong text, emphasis and code", () => {
    expect(parseMarkdown("**Late** *now* `a_b_c` 2 * 3 * 4")).toEqual([
      {
        type: "paragraph",
        children: [
          { type: "strong", children: [text("Late")] },
          text(" "),
          { type: "emphasis", children: [text("now")] },
          text(" "),
          { type: "code", text: "a_b_c" },
          text(" 2 * 3 * 4"),
        ],
      },
    ]);
  });

  it("links to pages of this site", () => {
    expect(parseMarkdown("[flights](/pipelines/p1)")).toEqual([
      {
        type: "paragraph",
        children: [{ type: "link", path: "/pipelines/p1", children: [text("flights")] }],
      },
    ]);
  });

  it.each([
    "[x](https://evil.test/?secret=1)",
    "[x](//evil.test)",
    "[x](/\\evil.test)",
    "[x](javascript:alert(1))",
    "[x](data:text/html,x)",
    "<https://evil.test>",
    "<a href='https://evil.test'>x</a>",
    "<script>alert(1)</script>",
    "<img src=https://evil.test>",
  ])("shows %s as the text that it is", (source) => {
    expect(JSON.stringify(parseMarkdown(source))).not.toContain('"type":"link"');
    expect(flatten(parseMarkdown(source))).toBe(source);
  });

  it("replaces an image by its description, so that nothing is loaded", () => {
    expect(parseMarkdown("![a chart](https://evil.test/?secret=1)")).toEqual([
      { type: "paragraph", children: [text("a chart")] },
    ]);
  });

  it("shows a block of code that is still being written", () => {
    expect(parseMarkdown("```python\nfor row in")).toEqual([{ type: "code", text: "for row in" }]);
  });

  it.each(["[", "*a", "![", "[a]("])("reads 100,000 times %s without getting slow", (part) => {
    const line = part.repeat(100_000);
    const started = performance.now();
    expect(flatten(parseMarkdown(line)) === line).toBe(true);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

function flatten(value: unknown): string {
  if (Array.isArray(value)) return value.map(flatten).join("");
  const { text = "", children = [] } = value as { text?: string; children?: unknown[] };
  return text + flatten(children);
}
