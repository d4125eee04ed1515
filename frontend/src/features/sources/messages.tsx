import type { CodeMessage, CodeReport } from "@/api/types";
import { CheckIcon, WarningIcon } from "@/components/icons";
import { countWithNoun } from "@/format/number";

/** The result of the validation. Each message is a button that moves the cursor to its position in the code. */
export function Messages({
  report,
  onSelect,
}: {
  report: CodeReport;
  onSelect: (position: { line: number; column: number }) => void;
}) {
  const messages = [...report.errors, ...report.warnings];
  return (
    <section aria-label="Code check" className="grid gap-2">
      <p role="status" className={report.valid ? "text-good" : "text-bad"}>
        {report.valid ? <CheckIcon className="mr-1.5 inline" /> : <WarningIcon className="mr-1.5 inline" />}
        {report.valid
          ? `Valid: ${countWithNoun(report.streams.length, "stream")}${report.warnings.length ? `, ${countWithNoun(report.warnings.length, "warning")}` : ""}`
          : countWithNoun(report.errors.length, "error")}
      </p>
      {messages.length > 0 && (
        <ul className="grid gap-1">
          {messages.map((message, index) => (
            <li key={index}>
              <MessageButton message={message} onSelect={onSelect} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function MessageButton({
  message: { line, column, message, severity },
  onSelect,
}: {
  message: CodeMessage;
  onSelect: (position: { line: number; column: number }) => void;
}) {
  return (
    <button
      type="button"
      onClick={() => onSelect({ line, column })}
      className="flex w-full items-baseline gap-2 rounded-control px-2 py-1 text-left hover:bg-hover"
    >
      <span className={severity === "error" ? "text-bad" : "text-wait"}>
        {severity === "error" ? "Error" : "Warning"}
      </span>
      <span className="text-faint tabular-nums">
        {line}:{column}
      </span>
      <span className="min-w-0 break-words">{message}</span>
    </button>
  );
}
