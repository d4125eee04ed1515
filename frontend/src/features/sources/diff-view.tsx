import { classNames } from "@/components/class-names";

/** A unified diff. Added and removed lines differ in sign and colour. */
export function DiffView({ label, diff }: { label: string; diff: string }) {
  const lines = diff.split("\n").slice(2, -1); // without the two file names at the top
  if (lines.length === 0) return <p className="text-soft">The code did not change.</p>;
  return (
    <pre
      role="region"
      aria-label={label}
      tabIndex={0}
      className="max-h-96 overflow-auto rounded-card border border-line py-2 font-mono text-[0.78rem]"
    >
      {lines.map((line, index) => (
        <span key={index} className={classNames("block px-3", lineClasses(line))}>
          {line || " "}
        </span>
      ))}
    </pre>
  );
}

function lineClasses(line: string): string {
  if (line.startsWith("@@")) return "text-faint";
  if (line.startsWith("+")) return "bg-good-wash text-good";
  return line.startsWith("-") ? "bg-bad-wash text-bad" : "";
}
