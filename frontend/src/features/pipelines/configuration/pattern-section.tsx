import { useId, useState } from "react";
import { LimitFields } from "@/components/limit-fields";
import { PatternDefaults } from "@/components/pattern-defaults";
import { PatternFields } from "@/components/pattern-fields";
import { PatternMatches } from "@/components/pattern-matches";
import type { Values } from "@/format/merge";
import { patternFields, patternsOf } from "./values";

interface Props {
  values: Values;
  onChange: (changes: Values) => void;
  errors: Record<string, string>;
  /** The source's saved connector, whose streams are matched. */
  sourceConnectorId: string | null;
  /** The streams that have settings of their own. */
  named: string[];
  /** The streams that match but are ignored. */
  ignored: string[];
}

/** The patterns that choose streams at each run. A pipeline that has none shows only how to add them. */
export function PatternSection({ values, onChange, errors, sourceConnectorId, named, ignored }: Props) {
  const titleId = useId();
  const patterns = patternsOf(values);
  const hasErrors = Object.keys(errors).some((field) => /^(patterns|naming|new_streams)/.test(field));
  const [isOpen, setIsOpen] = useState(patterns.match !== "" || patterns.naming !== "");
  const isShown = isOpen || hasErrors;
  const limitErrors = Object.fromEntries(
    Object.entries(errors).map(([field, message]) => [field.replace(/^patterns\./, ""), message]),
  );
  return (
    <section aria-labelledby={titleId} data-patterns className="card min-w-0 p-4">
      <details open={isShown} onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
        <summary className="rounded-card">
          <h2 id={titleId} className="inline font-semibold">
            Streams by patterns
          </h2>{" "}
          <span className="text-soft">{patterns.match === "" ? "none" : summary(patterns.match)}</span>
        </summary>
        {isShown && (
          <div className="mt-3 grid gap-4">
            <p className="text-soft">
              Each run also reads the streams of the source that match when it begins. Streams that are listed
              below keep their own settings.
            </p>
            <PatternFields
              values={patterns}
              errors={errors}
              onChange={(changed) => onChange(patternFields(changed))}
            />
            <div className="grid gap-4 sm:grid-cols-2">
              <LimitFields
                limits={patterns.limits}
                errors={limitErrors}
                onChange={(limits) => onChange(patternFields({ ...patterns, limits }))}
              />
            </div>
            <PatternDefaults
              values={patterns}
              errors={errors}
              connectorId={sourceConnectorId}
              onChange={(changed) => onChange(patternFields(changed))}
            />
            {sourceConnectorId && (
              <PatternMatches
                connectorId={sourceConnectorId}
                values={patterns}
                named={named}
                ignored={ignored}
              />
            )}
          </div>
        )}
      </details>
    </section>
  );
}

function summary(match: string): string {
  return match
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .join(", ");
}
