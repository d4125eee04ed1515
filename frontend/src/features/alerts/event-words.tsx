import type { AlertDelivery } from "@/api/types";
import { Name } from "@/components/name";

type Event = AlertDelivery["event"];

/** What a delivery tells, in one line. The summary follows the name of the subject. */
export function EventWords({ event: { kind, subject, summary } }: { event: Event }) {
  if (kind === "test") return <>Test message</>;
  if (!subject) return <>{summary}</>;
  return (
    <>
      <Name>{subject.name}</Name> {summary}
    </>
  );
}
