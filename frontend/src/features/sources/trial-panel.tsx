import { useState } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import type { CodeReport, Trial } from "@/api/types";
import { Button } from "@/components/button";
import { Field } from "@/components/field";
import { PlayIcon } from "@/components/icons";
import { NetworkTable } from "@/components/network-table";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PreviewTable } from "@/components/preview-table";
import type { Config, Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { countWithNoun, withUnit } from "@/format/number";
import { usePreviewCode } from "./queries";

/** Runs the code in the editor and shows the first records. The settings are sent with the request and not saved. */
export function TrialPanel({ code, report }: { code: string; report: CodeReport }) {
  const preview = usePreviewCode();
  const [config, setConfig] = useState<Config>({});
  const [selectedName, setSelectedName] = useState("");
  const streamNames = report.streams.map(({ name }) => name);
  const stream = streamNames.includes(selectedName) ? selectedName : (streamNames[0] ?? "");
  const errors = messagesBelow(fieldMessages(preview.error), "config");
  return (
    <div className="grid gap-4">
      <Field label="Stream">
        {(control) => (
          <select
            {...control}
            className="control"
            value={stream}
            onChange={({ target }) => setSelectedName(target.value)}
          >
            {streamNames.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <SchemaForm
        schema={report.config_schema as Schema}
        value={config}
        onChange={setConfig}
        errors={errors}
      />
      <div>
        <Button
          look="primary"
          disabledReason={disabledReasonOf(report, stream, preview.isPending)}
          onClick={() => preview.mutate({ code, stream, config })}
        >
          <PlayIcon />
          {preview.isPending ? "Reading…" : "Preview 20 records"}
        </Button>
      </div>
      {preview.isPending && <Skeletons rows={3} />}
      {preview.error && !preview.isPending && <ErrorNotice error={preview.error} />}
      {preview.data && !preview.isPending && <TrialResult trial={preview.data} />}
    </div>
  );
}

function disabledReasonOf(report: CodeReport, stream: string, pending: boolean): string | null {
  if (pending) return "Reading";
  if (!report.valid) return "Fix the errors first.";
  return stream ? null : "The code defines no stream.";
}

function TrialResult({ trial }: { trial: Trial }) {
  return (
    <div className="grid gap-4">
      {trial.failure ? (
        <FailureNotice {...trial.failure} />
      ) : (
        <PreviewTable preview={{ ...trial, read_as: "", failure: null }} />
      )}
      <p role="status" className="text-soft">
        {countWithNoun(trial.records.length, "record")} in {withUnit((trial.ms / 1000).toFixed(2), "s")} with{" "}
        {countWithNoun(trial.requests.length, "request")}
        {trial.isolation && `; isolation: ${trial.isolation}`}
      </p>
      {trial.requests.length > 0 && (
        <FoldedSection title="Requests" open={Boolean(trial.failure)}>
          <ol className="grid gap-1 font-mono text-[0.78rem]">
            {trial.requests.map(({ method, url, status, ms }, index) => (
              <li key={index} className="flex gap-2">
                <span className={status >= 400 ? "text-bad" : "text-good"}>{status}</span>
                <span className="min-w-0 break-all">
                  {method} {url}
                </span>
                <span className="ml-auto whitespace-nowrap text-faint">{withUnit(Math.round(ms), "ms")}</span>
              </li>
            ))}
          </ol>
        </FoldedSection>
      )}
      {trial.network.length > 0 && (
        <FoldedSection title="Network" open={trial.network.some(({ refused }) => refused)}>
          <NetworkTable hosts={trial.network} />
        </FoldedSection>
      )}
      {trial.log.length > 0 && (
        <FoldedSection title="Log" open={Boolean(trial.failure)}>
          <pre className="max-h-72 overflow-auto font-mono text-[0.78rem] whitespace-pre-wrap" tabIndex={0}>
            {trial.log.map(({ message }) => message).join("\n")}
          </pre>
        </FoldedSection>
      )}
    </div>
  );
}

function FoldedSection({
  title,
  open,
  children,
}: {
  title: string;
  open: boolean;
  children: React.ReactNode;
}) {
  return (
    <details open={open} className="rounded-card border border-line">
      <summary className="rounded-card px-3 py-2 font-medium hover:bg-hover">{title}</summary>
      <div className="border-t border-line p-3">{children}</div>
    </details>
  );
}
