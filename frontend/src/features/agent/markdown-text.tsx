import { Fragment, memo } from "react";
import { TextWithTimes } from "@/components/text-with-times";
import { PageLinkText } from "./page-link";
import { parseInline, parseMarkdown, type Block, type Inline, type List } from "./markdown";

/** An answer of the agent. See `markdown` for what is allowed in it. */
export const MarkdownText = memo(function MarkdownText({ text }: { text: string }) {
  return (
    <div className="grid min-w-0 grid-cols-1 gap-2 wrap-anywhere">
      {parseMarkdown(text).map((block, index) => (
        <BlockView key={index} block={block} />
      ))}
    </div>
  );
});

/** While an answer arrives, only its last block is rendered again. */
const BlockView = memo(BlockElement, (before, after) => isSameBlock(before.block, after.block));

function isSameBlock(first: Block, second: Block): boolean {
  return JSON.stringify(first) === JSON.stringify(second);
}

function BlockElement({ block }: { block: Block }) {
  switch (block.type) {
    case "heading":
      return (
        <p className="mt-1 font-semibold">
          <InlineText text={block.text} />
        </p>
      );
    case "quote":
      return (
        <blockquote className="border-l-2 border-line-strong pl-3 text-soft">
          <InlineText text={block.text} />
        </blockquote>
      );
    case "code":
      return (
        <pre
          tabIndex={0}
          className="overflow-x-auto rounded-control border border-line bg-page px-3 py-2 font-mono text-[0.78rem]"
        >
          {block.text}
        </pre>
      );
    case "list":
      return <ListView block={block} />;
    case "table":
      return <TableView block={block} />;
    default:
      return (
        <p className="whitespace-pre-wrap">
          <InlineText text={block.text} />
        </p>
      );
  }
}

function ListView({ block }: { block: List }) {
  const items = block.items.map(({ text, lists }, index) => (
    <li key={index} className="whitespace-pre-wrap">
      <InlineText text={text} />
      {lists.map((list, position) => (
        <ListView key={position} block={list} />
      ))}
    </li>
  ));
  if (!block.ordered) return <ul className="grid list-disc gap-0.5 pl-5">{items}</ul>;
  return (
    <ol start={block.start} className="grid list-decimal gap-0.5 pl-6">
      {items}
    </ol>
  );
}

function TableView({ block }: { block: Extract<Block, { type: "table" }> }) {
  return (
    <div tabIndex={0} role="region" aria-label="Table" className="overflow-x-auto">
      <table className="table border-collapse">
        <thead>
          <tr>
            {block.head.map((cell, index) => (
              <th key={index} scope="col">
                <InlineText text={cell} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {block.rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>
                  <InlineText text={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function InlineText({ text }: { text: string }) {
  return <Inlines parts={parseInline(text)} />;
}

function Inlines({ parts }: { parts: Inline[] }) {
  return parts.map((part, index) => (
    <Fragment key={index}>
      <InlineView part={part} />
    </Fragment>
  ));
}

function InlineView({ part }: { part: Inline }) {
  switch (part.type) {
    case "text":
      return <TextWithTimes text={part.text} />;
    case "code":
      return <code className="rounded bg-hover px-1 font-mono text-[0.8125rem]">{part.text}</code>;
    case "strong":
      return (
        <strong className="font-semibold">
          <Inlines parts={part.children} />
        </strong>
      );
    case "emphasis":
      return (
        <em>
          <Inlines parts={part.children} />
        </em>
      );
    case "link":
      return (
        <PageLinkText path={part.path}>
          <Inlines parts={part.children} />
        </PageLinkText>
      );
  }
}
