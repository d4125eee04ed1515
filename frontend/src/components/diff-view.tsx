import { useState } from "react";
import { Button } from "./button";
import { classNames } from "./class-names";
import { countWithNoun } from "@/format/number";

const FOLDED_LINES = 24;

/** A unified diff. Added and removed lines differ in sign and colour. A long diff is folded until the user opens it. */
export function DiffView({ label, diff }: { label: string; diff: string }) {
  const lines = diff.split("\n").slice(2, -1); // without the two file names at the top
  if (lines.length === 0) return <p className="text-soft">The code did not change.</p>;
  return <FoldedLines label={label} lines={lines} classesOf={classesOfLine} />;
}

interface FoldedProps {
  label: string;
  lines: string[];
  classesOf?: (line: string) => string;
}

/** Lines of code in a region that scrolls. After the first lines a button shows the rest. */
export function FoldedLines({ label, lines, classesOf = () => "" }: FoldedProps) {
  const [isOpen, setIsOpen] = useState(false);
  const isLong = lines.length > FOLDED_LINES + 6;
  const shownLines = isLong && !isOpen ? lines.slice(0, FOLDED_LINES) : lines;
  return (
    <div className="min-w-0">
      <pre
        role="region"
        aria-label={label}
        tabIndex={0}
        className="max-h-96 overflow-auto rounded-card border border-line py-2 font-mono text-[0.78rem]"
      >
        <span className="block w-max min-w-full">
          {shownLines.map((line, index) => (
            <span key={index} className={classNames("block px-3", classesOf(line))}>
              {line || " "}
            </span>
          ))}
        </span>
      </pre>
      {isLong && (
        <Button
          look="quiet"
          size="small"
          className="mt-1"
          aria-expanded={isOpen}
          onClick={() => setIsOpen(!isOpen)}
        >
          {isOpen ? "Show fewer lines" : `Show all ${countWithNoun(lines.length, "line")}`}
        </Button>
      )}
    </div>
  );
}

function classesOfLine(line: string): string {
  if (line.startsWith("@@")) return "text-faint";
  if (line.startsWith("+")) return "bg-good-wash text-good";
  return line.startsWith("-") ? "bg-bad-wash text-bad" : "";
}
