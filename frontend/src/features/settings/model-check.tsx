import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { ModelCheckAnswer, ModelCheckRow, ModelDraft } from "@/api/types";
import { useNow } from "@/components/clock";
import { CheckIcon, CrossIcon, WarningIcon } from "@/components/icons";
import { formatDuration } from "@/format/duration";
import { modelInWords } from "@/format/model";
import { formatCount } from "@/format/number";

/** Tests a draft, or without one the model that answers now. The tokens of the test count in the month. */
export function useCheckModel() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (draft: ModelDraft | null) =>
      unwrap(api.POST("/api/v1/org/model/check", { body: draft ? { draft } : {} })),
    onSettled: () => client.invalidateQueries({ queryKey: queryKeys.languageModel.status }),
  });
}

type CheckModel = ReturnType<typeof useCheckModel>;

/** Progress and result of a test. The status is announced by screen readers. */
export function ModelCheck({ check }: { check: CheckModel }) {
  return (
    <div className="grid gap-2" aria-busy={check.isPending}>
      <div role="status">
        {check.isPending && <p className="text-soft">Testing. This takes up to a minute.</p>}
        {check.data && <p className={check.data.ok ? "text-good" : "text-bad"}>{summaryOf(check.data)}</p>}
      </div>
      {check.isPending && <Elapsed />}
      {check.data && <Rows rows={check.data.checks} />}
    </div>
  );
}

function Elapsed() {
  const now = useNow();
  const [start] = useState(now);
  const seconds = Math.max(0, Math.round((now - start) / 1000));
  return <p className="text-xs text-faint tabular-nums">{formatDuration(seconds)}</p>;
}

function summaryOf({ ok, model, checks, input_tokens, output_tokens }: ModelCheckAnswer): string {
  const warnings = checks.filter(({ state }) => state === "warning").length;
  const name = modelInWords(model);
  const verdict = ok ? `The agent can work with ${name}` : `The agent cannot work with ${name}`;
  const notes = ok && warnings > 0 ? `, with ${warnings} ${warnings === 1 ? "warning" : "warnings"}` : "";
  return `${verdict}${notes}. The test used ${formatCount(input_tokens + output_tokens)} tokens.`;
}

const STATES: Record<ModelCheckRow["state"], { word: string; text: string }> = {
  ok: { word: "passed", text: "text-soft" },
  warning: { word: "warning", text: "text-soft" },
  failed: { word: "failed", text: "text-bad" },
  skipped: { word: "skipped", text: "text-faint" },
};

function Rows({ rows }: { rows: ModelCheckRow[] }) {
  return (
    <ol
      aria-label="Results of the test"
      className="grid gap-2 rounded-card border border-line p-3 text-[0.8125rem]"
    >
      {rows.map(({ name, title, state, message, next_step, ms }) => (
        <li key={name} className="grid grid-cols-[1.25rem_1fr_auto] items-start gap-x-2">
          <StateIcon state={state} />
          <div className="min-w-0 break-words">
            <p className="font-medium">
              {title}
              <span className="sr-only"> {STATES[state].word}</span>
            </p>
            <p className={STATES[state].text}>{message}</p>
            {next_step && <p>{next_step}</p>}
          </div>
          <span className="text-faint tabular-nums">{ms > 0 && formatDuration(ms / 1000)}</span>
        </li>
      ))}
    </ol>
  );
}

function StateIcon({ state }: { state: ModelCheckRow["state"] }) {
  if (state === "ok") return <CheckIcon className="mt-0.5 text-good" />;
  if (state === "warning") return <WarningIcon className="mt-0.5 text-wait" />;
  if (state === "failed") return <CrossIcon className="mt-0.5 text-bad" />;
  return (
    <span aria-hidden="true" className="text-faint">
      –
    </span>
  );
}
