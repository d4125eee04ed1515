/**
 * Reads the part of Markdown that answers of the agent use. The result is data and never HTML, so a text cannot add
 * elements of its own. Links stay only if they lead to a page of this site; images become their description.
 * ADR 63 says why this is no library.
 */
import { isSameSitePath } from "@/session/same-site-path";

export type Inline =
  | { type: "text" | "code"; text: string }
  | { type: "strong" | "emphasis"; children: Inline[] }
  | { type: "link"; path: string; children: Inline[] };

export interface List {
  type: "list";
  ordered: boolean;
  start: number;
  items: ListItem[];
}

export interface ListItem {
  text: string;
  /** The lists inside the item. */
  lists: List[];
}

/** A part of a text. `parseInline` reads the texts in it, except those of code. */
export type Block =
  | { type: "paragraph" | "heading" | "quote" | "code"; text: string }
  | List
  | { type: "table"; head: string[]; rows: string[][] };

const FENCE = /^ {0,3}(```+|~~~+)/;
const HEADING = /^ {0,3}#{1,6}\s+/;
const QUOTE = /^ {0,3}> ?/;
const BULLET = /^\s*[-*+]\s+/;
const NUMBER = /^\s*(\d{1,9})[.)]\s+/;
const MAX_DEPTH = 6; // deeper items are shown at this depth
const TABLE_ROW = /^\s*\|.*\|\s*$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** Returns the blocks of a text. A text that is still being written gives the blocks so far. */
export function parseMarkdown(text: string): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const blocks: Block[] = [];
  let position = 0;
  while (position < lines.length) {
    if (lines[position]!.trim() === "") {
      position += 1;
      continue;
    }
    const [block, next] = readBlock(lines, position);
    blocks.push(block);
    position = next;
  }
  return blocks;
}

/** Returns the block that begins at the line, and the number of the line after it. */
function readBlock(lines: string[], start: number): [Block, number] {
  const line = lines[start]!;
  const fence = FENCE.exec(line)?.[1];
  if (fence) return readCode(lines, start, fence);
  if (HEADING.test(line)) {
    return [{ type: "heading", text: line.replace(HEADING, "") }, start + 1];
  }
  if (QUOTE.test(line)) {
    const end = endOf(lines, start, (next) => QUOTE.test(next));
    const quoted = lines.slice(start, end).map((next) => next.replace(QUOTE, ""));
    return [{ type: "quote", text: quoted.join("\n") }, end];
  }
  if (isListItem(line)) return readList(lines, start);
  if (TABLE_ROW.test(line) && TABLE_RULE.test(lines[start + 1] ?? "")) return readTable(lines, start);
  const end = endOf(lines, start, (next) => next.trim() !== "" && !beginsBlock(next));
  return [{ type: "paragraph", text: lines.slice(start, end).join("\n") }, end];
}

function isListItem(line: string): boolean {
  return BULLET.test(line) || NUMBER.test(line);
}

function beginsBlock(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || isListItem(line);
}

/** Returns the first line after `start` that does not continue the block. */
function endOf(lines: string[], start: number, continues: (line: string) => boolean): number {
  let end = start + 1;
  while (end < lines.length && continues(lines[end]!)) end += 1;
  return end;
}

function readCode(lines: string[], start: number, fence: string): [Block, number] {
  const end = endOf(lines, start, (line) => !line.trim().startsWith(fence));
  return [{ type: "code", text: lines.slice(start + 1, end).join("\n") }, end + 1];
}

/** A list whose items are read, with the indentation of its items. */
interface OpenList {
  indent: number;
  list: List;
}

function readList(lines: string[], start: number): [Block, number] {
  const open: OpenList[] = [{ indent: indentOf(lines[start]!), list: newList(lines[start]!) }];
  let position = start;
  for (; position < lines.length; position += 1) {
    const line = lines[position]!;
    if (isListItem(line)) {
      if (!openListFor(line, open)) break;
      open.at(-1)!.list.items.push({ text: line.replace(BULLET, "").replace(NUMBER, ""), lists: [] });
    } else if (/^\s{2,}\S/.test(line)) {
      open.at(-1)!.list.items.at(-1)!.text += `\n${line.trim()}`;
    } else break;
  }
  return [open[0]!.list, position];
}

/** Makes the list of this item the last one of `open`. Returns false if the item begins another block. */
function openListFor(line: string, open: OpenList[]): boolean {
  const indent = indentOf(line);
  while (open.length > 1 && indent < open.at(-1)!.indent) open.pop();
  const { indent: outerIndent, list } = open.at(-1)!;
  const parent = list.items.at(-1);
  if (parent && indent >= outerIndent + 2 && open.length < MAX_DEPTH) {
    const nested = newList(line);
    parent.lists.push(nested);
    open.push({ indent, list: nested });
    return true;
  }
  if (NUMBER.test(line) === list.ordered) return true;
  if (open.length === 1) return list.items.length === 0;
  const other = newList(line);
  open.at(-2)!.list.items.at(-1)!.lists.push(other);
  open.splice(-1, 1, { indent, list: other });
  return true;
}

function newList(line: string): List {
  const number = NUMBER.exec(line);
  return { type: "list", ordered: number !== null, start: Number(number?.[1] ?? 1), items: [] };
}

function indentOf(line: string): number {
  return /^\s*/.exec(line)![0].replaceAll("\t", "    ").length;
}

function readTable(lines: string[], start: number): [Block, number] {
  const end = endOf(lines, start + 1, (line) => TABLE_ROW.test(line));
  const rows = lines.slice(start + 2, end).map(cellsOf);
  return [{ type: "table", head: cellsOf(lines[start]!), rows }, end];
}

function cellsOf(line: string): string[] {
  const cells = line.trim().slice(1, -1).split("|");
  return cells.map((cell) => cell.trim());
}

// The lengths are limited, so that the time to read a text grows with its length only.
const INLINE = new RegExp(
  [
    /`([^`\n]{1,500})`/,
    /!\[([^\]\n]{0,300})\]\([^)\s]{0,2000}\)/,
    /\[([^\]\n]{1,300})\]\(([^)\s]{1,2000})\)/,
    /\*\*([^*\n]{1,1000})\*\*/,
    /(?<![\w*])\*([^*\s][^*\n]{0,1000})\*(?![\w*])/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);

export function parseInline(text: string): Inline[] {
  const parts: Inline[] = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > end) parts.push({ type: "text", text: text.slice(end, match.index) });
    parts.push(inlineOf(match));
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ type: "text", text: text.slice(end) });
  return parts;
}

function inlineOf([whole, code, image, label, target, strong, emphasis]: RegExpMatchArray): Inline {
  if (code !== undefined) return { type: "code", text: code };
  if (image !== undefined) return { type: "text", text: image };
  if (label !== undefined) {
    if (!isSameSitePath(target)) return { type: "text", text: whole };
    return { type: "link", path: target, children: [{ type: "text", text: label }] };
  }
  if (strong !== undefined) return { type: "strong", children: parseInline(strong) };
  return { type: "emphasis", children: parseInline(emphasis!) };
}
