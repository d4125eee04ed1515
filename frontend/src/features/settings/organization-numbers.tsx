import type { Versioned } from "@/api/client";
import type { Organization } from "@/api/types";
import { TextField } from "@/components/field";
import { VersionedForm } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { useHasPermission } from "@/session/use-session";
import { useSaveOrganization } from "./organization";
import { Section } from "@/components/section";

type Limit = "max_running" | "max_pipelines" | "max_members" | "max_rows_month" | "max_bytes_month";
type RetentionDays = "keep_logs_days" | "keep_events_days" | "keep_runs_days" | "keep_audit_days";

interface NumberField {
  name: Limit | RetentionDays;
  label: string;
  min: number;
  max?: number;
  required?: boolean;
}

const LIMITS: NumberField[] = [
  { name: "max_running", label: "Concurrent runs", min: 1, required: true },
  { name: "max_pipelines", label: "Pipelines", min: 0 },
  { name: "max_members", label: "Members, including invited ones", min: 0 },
  { name: "max_rows_month", label: "Records moved per month", min: 0 },
  { name: "max_bytes_month", label: "Bytes moved per month", min: 0 },
];

const MAX_DAYS = 36500;
const RETENTION: NumberField[] = [
  { name: "keep_logs_days", label: "Run logs", min: 1, max: MAX_DAYS },
  { name: "keep_events_days", label: "Live events", min: 1, max: MAX_DAYS },
  { name: "keep_runs_days", label: "Runs", min: 1, max: MAX_DAYS },
  { name: "keep_audit_days", label: "Audit log (at least 365 days)", min: 365, max: MAX_DAYS },
];

export function LimitsSection({ org }: { org: Versioned<Organization> }) {
  return (
    <Section
      title="Limits"
      description="Drover warns you at 80% of a limit. At 100% of a monthly limit, runs stop. Later runs continue from the last checkpoint, so no data is lost. Leave a field blank for no limit."
    >
      <NumbersForm org={org} fields={LIMITS} action="Save limits" />
    </Section>
  );
}

export function RetentionSection({ org }: { org: Versioned<Organization> }) {
  return (
    <Section
      title="Retention"
      description="For how many days each kind of data is kept. Leave a field blank to keep the data forever. Usage shows how much space the data takes. Output files, their runs and the latest run of each pipeline are always kept."
    >
      <NumbersForm org={org} fields={RETENTION} action="Save retention" />
    </Section>
  );
}

interface FormProps {
  org: Versioned<Organization>;
  fields: NumberField[];
  action: string;
}

/** A form for numbers of the organization. Only admins can change them. An empty field is sent as null. */
function NumbersForm({ org, fields, action }: FormProps) {
  const save = useSaveOrganization(org);
  const canEdit = useHasPermission()("settings.edit");

  function submit(values: Values, changed: string[], done: () => void) {
    const numbers = changed.map((name) => {
      const text = String(values[name]).trim();
      return [name, text === "" ? null : Number(text)] as const;
    });
    save.mutate(Object.fromEntries(numbers), { onSuccess: done });
  }

  return (
    <VersionedForm
      saved={Object.fromEntries(fields.map(({ name }) => [name, String(org[name] ?? "")]))}
      labels={Object.fromEntries(fields.map(({ name, label }) => [name, label]))}
      save={save}
      canEdit={canEdit}
      saveLabel={action}
      onSave={submit}
    >
      {({ values, change, messages }) => (
        <div className="grid gap-3 sm:grid-cols-2">
          {fields.map(({ name, ...input }) => (
            <TextField
              key={name}
              {...input}
              type="number"
              value={String(values[name])}
              onChange={({ target }) => change({ [name]: target.value })}
              readOnly={!canEdit}
              error={messages[name]}
            />
          ))}
        </div>
      )}
    </VersionedForm>
  );
}
