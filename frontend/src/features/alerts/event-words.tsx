import type { AlertDelivery } from "@/api/types";
import { Name } from "@/components/name";

type Event = AlertDelivery["event"];

/** What a delivery tells, in one line. The summary follows the name of the pipeline. */
export function EventWords({ event: { kind, pipeline, summary } }: { event: Event }) {
  if (kind === "test") return <>Test message</>;
  if (!pipeline) return <>{summary}</>;
  return (
    <>
      <Name>{pipeline.name}</Name> {summary}
    </>
  );
}
