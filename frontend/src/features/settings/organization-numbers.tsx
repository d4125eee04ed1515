import type { Versioned } from "@/api/client";
import type { Organization } from "@/api/types";
import { BytesField } from "@/components/bytes-field";
import { TextField } from "@/components/field";
import { VersionedForm } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { formatBytes } from "@/format/number";
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
  { name: "max_bytes_month", label: "Data moved per month", min: 0 },
];

const BYTES = "max_bytes_month";

const MAX_DAYS = 36500;
const RETENTION: NumberField[] = [
  { name: "keep_logs_days", label: "Run logs (days)", min: 1, max: MAX_DAYS },
  { name: "keep_events_days", label: "Live events (days)", min: 1, max: MAX_DAYS },
  { name: "keep_runs_days", label: "Runs (days)", min: 1, max: MAX_DAYS },
  { name: "keep_audit_days", label: "Audit log (days, at least 365)", min: 365, max: MAX_DAYS },
];

export function LimitsSection({ org }: { org: Versioned<Organization> }) {
  const canEdit = useHasPermission()("settings.edit");
  return (
    <Section
      title="Limits"
      description={`Drover warns you at 80% of a limit. At 100% of a monthly limit, runs stop. Later runs continue from the last checkpoint, so no data is lost.${canEdit ? " Leave a field blank for no limit." : ""}`}
    >
      <NumbersForm org={org} fields={LIMITS} whenEmpty="No limit" action="Save limits" canEdit={canEdit} />
    </Section>
  );
}

export function RetentionSection({ org }: { org: Versioned<Organization> }) {
  const canEdit = useHasPermission()("settings.edit");
  return (
    <Section
      title="Retention"
      description={`For how many days each kind of data is kept.${canEdit ? " Leave a field blank to keep the data forever." : ""} Usage shows how much space the data takes. Output files, their runs and the latest run of each pipeline are always kept.`}
    >
      <NumbersForm
        org={org}
        fields={RETENTION}
        whenEmpty="Forever"
        action="Save retention"
        canEdit={canEdit}
      />
    </Section>
  );
}

interface FormProps {
  org: Versioned<Organization>;
  fields: NumberField[];
  /** What an empty field means, for those who can only view it. */
  whenEmpty: string;
  action: string;
  canEdit: boolean;
}

/** A form for numbers of the organization. An empty field is sent as null. */
function NumbersForm({ org, fields, whenEmpty, action, canEdit }: FormProps) {
  const save = useSaveOrganization(org);

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
      textOf={(name, value) => (name === BYTES && value ? formatBytes(Number(value)) : undefined)}
      onSave={submit}
    >
      {({ values, change, messages }) => (
        <div className="grid gap-3 sm:grid-cols-2">
          {fields.map(({ name, label, ...input }) =>
            name === BYTES ? (
              <BytesField
                key={name}
                label={label}
                value={String(values[name])}
                onChange={(value) => change({ [name]: value })}
                whenEmpty={whenEmpty}
                readOnly={!canEdit}
                error={messages[name]}
              />
            ) : (
              <TextField
                key={name}
                label={label}
                {...input}
                type="number"
                value={String(values[name])}
                onChange={({ target }) => change({ [name]: target.value })}
                placeholder={canEdit ? undefined : whenEmpty}
                readOnly={!canEdit}
                error={messages[name]}
              />
            ),
          )}
        </div>
      )}
    </VersionedForm>
  );
}
