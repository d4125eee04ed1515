import { useState, type ReactNode } from "react";
import { ActionRefused } from "@/api/problem";
import { Button } from "@/components/button";
import { Chart } from "@/components/chart/chart";
import { ChoiceField } from "@/components/choice-field";
import { ConfirmDialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { Hint } from "@/components/hint";
import { EmptyState, FailureNotice, Notice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { SchemaForm } from "@/components/schema-form/schema-form";
import type { Schema } from "@/components/schema-form/schema";
import { StatusBadge } from "@/components/status";
import { showError, showSuccess } from "@/components/toast";
import { formatDuration } from "@/format/duration";

const SCHEMA: Schema = {
  type: "object",
  required: ["host", "port"],
  properties: {
    host: { type: "string", title: "Host", description: "Name or address of the server" },
    port: { type: "integer", title: "Port", default: 5432 },
    password: { type: "string", title: "Password", writeOnly: true },
    tls: { type: "string", title: "TLS mode", enum: ["require", "prefer", "disable"], default: "require" },
    batch: { type: "boolean", title: "Read in batches", default: true },
  },
};
const NIGHT = Date.parse("2026-03-01T06:00:00Z");
const RUNS = Array.from({ length: 30 }, (_, day) => ({
  at: new Date(NIGHT + day * 86_400_000).toISOString(),
  seconds: 40 + 25 * Math.sin(day),
  failed: day % 11 === 4,
}));

/** Shows the shared components in their states. The page exists only in development. */
export function ComponentsPage() {
  const [isOpen, setOpen] = useState(false);
  const [mode, setMode] = useState<"append" | "overwrite">("append");
  const [config, setConfig] = useState<Record<string, unknown>>({});
  return (
    <div className="p-4 md:p-6">
      <PageHeader title="Components" />
      <div className="grid gap-4">
        <Part title="Buttons">
          <div className="flex flex-wrap items-center gap-2">
            <Button look="primary">Create pipeline</Button>
            <Button>Edit</Button>
            <Button look="quiet">Cancel</Button>
            <Button look="danger" onClick={() => setOpen(true)}>
              Delete
            </Button>
            <Hint text="You need the permission to run pipelines.">
              <Button disabledReason="You need the permission to run pipelines.">Run</Button>
            </Hint>
            <Button size="small" onClick={() => showSuccess("Orders was saved.")}>
              Show a success
            </Button>
            <Button size="small" onClick={() => showError(new ActionRefused("The server did not answer."))}>
              Show an error
            </Button>
          </div>
        </Part>
        <Part title="Status">
          <div className="flex flex-wrap items-center gap-2">
            {(["pending", "running", "succeeded", "failed", "cancelled"] as const).map((status) => (
              <StatusBadge key={status} status={status} />
            ))}
            <RelativeTime time={RUNS[0]!.at} />
            <RelativeTime time={null} />
          </div>
        </Part>
        <Part title="Notices">
          <Notice title="The connector was changed." nextStep="Reload the page." retry={() => undefined} />
          <FailureNotice
            message="The password was refused."
            evidence={['FATAL: password authentication failed for user "ada"']}
          />
        </Part>
        <Part title="Fields">
          <TextField label="Name" defaultValue="Orders" hint="Shown in lists." />
          <TextField label="Schedule" defaultValue="61 9 * * *" error="The minute must be from 0 to 59." />
          <TextField label="Source" value="PostgreSQL" readOnly hint="This role may not change it." />
          <ChoiceField
            label="Write mode"
            words={{ append: "Append", overwrite: "Overwrite table" }}
            value={mode}
            onChange={setMode}
          />
        </Part>
        <Part title="Form of a JSON Schema">
          <SchemaForm
            schema={SCHEMA}
            value={config}
            onChange={setConfig}
            errors={{ host: "No server has this name." }}
          />
        </Part>
        <Part title="Chart">
          <Chart
            title="Duration of the last 30 runs"
            times={RUNS.map(({ at }) => at)}
            series={[
              {
                label: "Succeeded",
                values: RUNS.map(({ seconds, failed }) => (failed ? null : seconds)),
                color: "good",
                kind: "bars",
              },
              {
                label: "Failed",
                values: RUNS.map(({ seconds, failed }) => (failed ? seconds : null)),
                color: "bad",
                kind: "bars",
              },
            ]}
            format={formatDuration}
          />
        </Part>
        <Part title="Loading">
          <Skeletons rows={3} />
        </Part>
        <Part title="Empty">
          <EmptyState title="No pipelines yet" action={<Button look="primary">Create pipeline</Button>}>
            A pipeline copies streams of a source to a destination.
          </EmptyState>
        </Part>
      </div>
      <ConfirmDialog
        open={isOpen}
        title="Delete Orders?"
        confirmLabel="Delete"
        danger
        nameToType="Orders"
        onConfirm={() => setOpen(false)}
        onClose={() => setOpen(false)}
      >
        Its runs, logs and state are deleted. The records at the destination stay.
      </ConfirmDialog>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card grid gap-3 p-4">
      <h2 className="font-semibold">{title}</h2>
      {children}
    </section>
  );
}
