import { describe, expect, it } from "vitest";
import { parseInline, parseMarkdown, type List, type ListItem } from "./markdown";

const text = (value: string) => ({ type: "text", text: value });
const item = (value: string, ...lists: List[]): ListItem => ({ text: value, lists });
const list = (ordered: boolean, items: ListItem[]): List => ({ type: "list", ordered, start: 1, items });

function depthOf({ items }: List): number {
  return 1 + Math.max(0, ...items.flatMap(({ lists }) => lists.map(depthOf)));
}

describe("Markdown of an answer", () => {
  it("has paragraphs, headings, lists and code", () => {
    expect(
      parseMarkdown("# Runs\n\nTwo runs\nfailed:\n- one\n- two\n\n```sql\nselect 1\n```\n3. third"),
    ).toEqual([
      { type: "heading", text: "Runs" },
      { type: "paragraph", text: "Two runs\nfailed:" },
      { type: "list", ordered: false, start: 1, items: [item("one"), item("two")] },
      { type: "code", text: "select 1" },
      { type: "list", ordered: true, start: 3, items: [item("third")] },
    ]);
  });

  it("has lists in lists", () => {
    const source = "1. sources\n   - Airports\n   - Weather\n     more of it\n2. destinations\n   1. Log";
    expect(parseMarkdown(source)).toEqual([
      list(true, [
        item("sources", list(false, [item("Airports"), item("Weather\nmore of it")])),
        item("destinations", list(true, [item("Log")])),
      ]),
    ]);
  });

  it("returns to the outer lists, whatever their indentation is", () => {
    expect(parseMarkdown("- a\n    - b\n        - c\n  - d\n- e")).toEqual([
      list(false, [
        item("a", list(false, [item("b", list(false, [item("c")]))]), list(false, [item("d")])),
        item("e"),
      ]),
    ]);
    expect(parseMarkdown("- a\n\t1. b\n\t- c\n1. d")).toEqual([
      list(false, [item("a", list(true, [item("b")]), list(false, [item("c")]))]),
      list(true, [item("d")]),
    ]);
  });

  it("shows a list that is nested too deeply at the greatest depth", () => {
    const source = Array.from({ length: 5_000 }, (_, depth) => `${"  ".repeat(depth)}- x`).join("\n");
    expect(depthOf(parseMarkdown(source)[0] as List)).toBe(6);
  });

  it("has tables", () => {
    expect(parseMarkdown("| name | rows |\n|---|---:|\n| flights | 10 |")).toEqual([
      { type: "table", head: ["name", "rows"], rows: [["flights", "10"]] },
    ]);
  });

  it.each([
    ["```python\nfor row in", { type: "code", text: "for row in" }],
    ["| name | rows |\n|---|---|\n| fli", { type: "table", head: ["name", "rows"], rows: [] }],
    ["- one\n- tw", { type: "list", ordered: false, start: 1, items: [item("one"), item("tw")] }],
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
