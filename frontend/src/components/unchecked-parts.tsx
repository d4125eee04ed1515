import { formatCount } from "@/format/number";

const MAX_LISTED = 20;

/** What of a definition could not be compared with the source. It prevents nothing. */
export function UncheckedParts({ parts }: { parts: { field: string; message: string }[] }) {
  return (
    <section aria-label="Not checked" className="text-[0.8125rem] text-soft">
      <h3 className="font-medium">Not checked</h3>
      <ul className="list-disc pl-5">
        {parts.slice(0, MAX_LISTED).map(({ field, message }) => (
          <li key={field} className="wrap-anywhere">
            {message}
          </li>
        ))}
        {parts.length > MAX_LISTED && <li>and {formatCount(parts.length - MAX_LISTED)} more</li>}
      </ul>
    </section>
  );
}
