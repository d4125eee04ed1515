import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Run, SourceChange } from "@/api/types";
import { changeInWords, effectInWords } from "@/components/source-changes/words";
import { formatCount } from "@/format/number";
import { sourceChangesQuery } from "./queries";

/** What has changed at the source since the run before. It is decided on the page of the pipeline. */
export function SourceChangesCard({ run }: { run: Run }) {
  const { data } = useQuery(sourceChangesQuery(run));
  const changes = data?.results ?? [];
  if (changes.length === 0) return null;
  const hidden = (data?.count ?? 0) - changes.length;
  return (
    <section aria-labelledby="source-changes-title" className="card grid min-w-0 gap-2 p-4">
      <h2 id="source-changes-title" className="font-semibold">
        Changes at the source
      </h2>
      <ul className="max-h-64 divide-y divide-line overflow-y-auto rounded-card border border-line text-[0.8125rem]">
        {changes.map((change) => (
          <li key={change.id} className="px-3 py-1.5 wrap-anywhere">
            <span className="font-medium">{change.stream}</span>: {changeInWords(change)}
            <span className="text-soft">{notesOf(change)}</span>
          </li>
        ))}
        {hidden > 0 && <li className="px-3 py-1.5 text-soft">and {formatCount(hidden)} more</li>}
      </ul>
      {changes.some(({ decision }) => decision === null || decision === "pause") && (
        <p className="text-soft">
          <Link to="/pipelines/$pipelineId" params={{ pipelineId: run.pipeline.id }} className="link">
            Accept or ignore them
          </Link>{" "}
          on the page of the pipeline.
        </p>
      )}
    </section>
  );
}

/** What the change does now, and what was decided. */
function notesOf(change: SourceChange): string {
  const { decision } = change;
  const decided = decision === "accept" ? "Accepted." : decision === "ignore" ? "Ignored." : "";
  const notes = [effectInWords(change), decided].filter(Boolean);
  return notes.length > 0 ? `. ${notes.join(" ")}` : "";
}
