import { Link } from "@tanstack/react-router";
import type { FileOutcome } from "@/api/types";
import { classNames } from "@/components/class-names";

const OUTCOME_COLOURS: Record<FileOutcome["outcome"], string> = {
  created: "text-good",
  updated: "text-good",
  unchanged: "text-faint",
  archived: "text-wait",
  failed: "text-bad",
};

/** The outcome of each file of an upload or a sync. */
export function OutcomeList({ outcomes }: { outcomes: FileOutcome[] }) {
  return (
    <ul className="grid gap-1.5 text-[0.8125rem]">
      {outcomes.map(({ path, outcome, message, source_id, version }) => (
        <li key={path} className="grid gap-x-3 sm:grid-cols-[6rem_1fr]">
          <span className={classNames("font-medium", OUTCOME_COLOURS[outcome])}>{outcome}</span>
          <span className="min-w-0 break-words">
            {source_id ? (
              <Link to="/sources/$sourceId" params={{ sourceId: source_id }} className="font-mono underline">
                {path}
              </Link>
            ) : (
              <span className="font-mono">{path}</span>
            )}
            {version != null && outcome !== "failed" && (
              <span className="text-faint">, version {version}</span>
            )}
            {message && <span className="block text-soft">{message}</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}
