import { Link } from "@tanstack/react-router";
import { Button } from "@/components/button";
import { useHasPermission } from "@/session/use-session";
import { suggestionsFor } from "./page-suggestions";

/** Shown before the first message: what the agent can do, and requests to try. */
export function FirstSteps({ page, onChoose }: { page: string; onChoose: (text: string) => void }) {
  const canBuildSources = useHasPermission()("custom_sources.edit");
  return (
    <div className="grid gap-4 p-4">
      <div className="grid gap-1">
        <h2 className="text-base font-semibold">What do you want to do?</h2>
        <p className="text-soft">
          The agent finds connectors, proposes pipelines and explains failed runs. It shows you every change
          first, and nothing is changed until you approve it.
        </p>
      </div>
      <div>
        <p className="mb-1.5 text-[0.8125rem] font-medium">Try one of these</p>
        <ul className="grid justify-items-start gap-2">
          {suggestionsFor(page).map((example) => (
            <li key={example} className="min-w-0">
              <Button
                className="h-auto! min-h-8.5 py-1.5! text-left! whitespace-normal!"
                onClick={() => onChoose(example)}
              >
                {example}
              </Button>
            </li>
          ))}
        </ul>
      </div>
      {canBuildSources && (
        <p className="text-soft">
          To read an API, use the{" "}
          <Link to="/sources/builder/{-$conversationId}" className="link">
            source builder
          </Link>
          . The agent writes the code from the API's documentation.
        </p>
      )}
    </div>
  );
}
