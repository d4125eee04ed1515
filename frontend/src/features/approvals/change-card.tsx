import type { ToolRequest } from "@/api/types";

/** The facts, changes and warnings of a card. The server has made them from a dry run. */
export function ChangeCard({ card }: { card: ToolRequest["card"] }) {
  return (
    <section aria-label="What would change" className="card grid gap-3 p-4">
      {card.facts.length > 0 && (
        <dl className="grid grid-cols-[max-content_1fr] gap-x-4 gap-y-1.5">
          {card.facts.map((fact, index) => (
            <Fact key={index} label={fact.label} value={fact.value} />
          ))}
        </dl>
      )}
      {card.changes.length > 0 && (
        <ul className="grid gap-1.5">
          {card.changes.map((change, index) => (
            <li key={index} className="break-words">
              {change.field}: <del className="text-bad">{asText(change.before)}</del> →{" "}
              <ins className="text-good no-underline">{asText(change.after)}</ins>
            </li>
          ))}
        </ul>
      )}
      {card.warnings.map((warning) => (
        <p key={warning} className="text-bad">
          {warning}
        </p>
      ))}
    </section>
  );
}

function Fact({ label, value }: { label: string; value: string }) {
  return (
    <>
      <dt className="text-soft">{label}</dt>
      <dd className="min-w-0 break-words">{value}</dd>
    </>
  );
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
