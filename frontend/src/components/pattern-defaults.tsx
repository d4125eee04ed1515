import { useMemo, useState, type ReactNode } from "react";
import { hasRules } from "@/format/fields";
import type { PatternValues } from "@/format/patterns";
import { ContractField } from "./contract-field";
import { FieldRulesEditor } from "./field-rules-editor";
import { useStreams } from "./streams/queries";
import { fieldNamesOf } from "./streams/stream-choice";
import { TransformEditor, transformError } from "./transform-editor";

interface Props {
  values: PatternValues;
  onChange: (values: PatternValues) => void;
  /** Messages by the field of the definition, such as `patterns.contract`. */
  errors: Record<string, string>;
  /** The source's saved connector, which knows the fields of its streams. */
  connectorId: string | null;
}

/** How the records of all streams that patterns choose arrive: contract, fields and transform. */
export function PatternDefaults({ values, onChange, errors, connectorId }: Props) {
  const change = (changes: Partial<PatternValues>) => onChange({ ...values, ...changes });
  const ownErrors = Object.fromEntries(
    Object.entries(errors).filter(([field]) => field.startsWith("patterns.")),
  );
  const fieldsError = Object.entries(ownErrors).find(([field]) => field.startsWith("patterns.fields"))?.[1];
  const codeError = transformError(ownErrors);
  return (
    <div className="grid min-w-0 gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <ContractField
          contract={values.contract}
          error={ownErrors["patterns.contract"]}
          onChange={(contract) => change({ contract })}
        />
      </div>
      <Section
        title="Fields of all matching streams"
        summary="Drop, rename or protect fields"
        isFilled={hasRules(values.fields) || fieldsError !== undefined}
      >
        <p className="text-soft">A rule for a field that a stream does not have changes nothing.</p>
        <KnownFieldRules
          connectorId={connectorId}
          values={values}
          error={fieldsError}
          onChange={(fields) => change({ fields })}
        />
      </Section>
      <Section
        title="Transform of all matching streams"
        summary="Transform records with Python"
        isFilled={values.code !== "" || codeError !== null}
      >
        <TransformEditor code={values.code} onChange={(code) => change({ code })} error={codeError} />
      </Section>
    </div>
  );
}

interface SectionProps {
  title: string;
  summary: string;
  /** Whether there is something to show, so that it is open. */
  isFilled: boolean;
  children: ReactNode;
}

function Section({ title, summary, isFilled, children }: SectionProps) {
  const [isOpen, setIsOpen] = useState(isFilled);
  const isShown = isOpen || isFilled;
  return (
    <details
      open={isShown}
      onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}
      className="min-w-0 rounded-card border border-line"
    >
      <summary className="rounded-card px-3 py-2 font-medium hover:bg-hover">
        {summary} <span className="font-normal text-faint">(optional)</span>
      </summary>
      {isShown && (
        <section aria-label={title} className="grid min-w-0 gap-3 border-t border-line p-3">
          {children}
        </section>
      )}
    </details>
  );
}

interface RulesProps {
  connectorId: string | null;
  values: PatternValues;
  error: string | undefined;
  onChange: (fields: PatternValues["fields"]) => void;
}

/** The rules, with the names of the fields of all streams as suggestions. */
function KnownFieldRules({ connectorId, values, error, onChange }: RulesProps) {
  const streams = useStreams(connectorId);
  const known = useMemo(() => fieldNamesOf(streams ?? []), [streams]);
  return (
    <FieldRulesEditor
      fields={values.fields}
      onChange={onChange}
      known={known}
      canAddAll={false}
      error={error}
    />
  );
}
