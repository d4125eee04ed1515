import { useState, type ReactNode } from "react";
import { Button } from "@/components/button";
import { FieldRulesEditor } from "@/components/field-rules-editor";
import { hasRules, type FieldRules } from "@/format/fields";

interface Props {
  label: string;
  fields: FieldRules;
  /** The names of the stream's fields, as suggestions. */
  known: string[];
  error: string | undefined;
  onChange: (fields: FieldRules) => void;
  /** What is shown below the editor. */
  children?: ReactNode;
}

/** Which fields of a stream arrive, and how. Most streams need no rules, so the editor opens on demand. */
export function RulesOnDemand({ label, fields, known, error, onChange, children }: Props) {
  const [isOpen, setIsOpen] = useState(hasRules(fields));
  if (!isOpen && !error) {
    return (
      <div>
        <Button size="small" onClick={() => setIsOpen(true)}>
          Choose, rename or protect fields
        </Button>
      </div>
    );
  }
  return (
    <section aria-label={label} className="grid min-w-0 gap-3">
      <h3 className="text-[0.8125rem] font-medium">Fields</h3>
      <FieldRulesEditor fields={fields} known={known} error={error} onChange={onChange} />
      {children}
    </section>
  );
}
