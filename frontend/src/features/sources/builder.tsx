import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import type { CodeReport } from "@/api/types";
import { CodeEditor } from "@/components/code-editor";
import { ErrorNotice } from "@/components/notice";
import { Hosts } from "./hosts";
import { Messages } from "./messages";
import { reportQuery } from "./queries";
import { TrialPanel } from "./trial-panel";
import { useSettled } from "./use-settled";

const TYPING = 400; // milliseconds without typing before the server validates the text
const NOTHING: CodeReport["errors"] = [];

interface Props {
  code: string;
  onChange: (code: string) => void;
  onSave?: () => void;
  canEdit: boolean;
  /** Whether this person may run the code. By default whoever may edit it. */
  tries?: boolean;
  /** More tabs beside the preview. */
  tabs?: { title: string; content: ReactNode }[];
  children?: (report: CodeReport | undefined) => ReactNode;
}

/** The code on one side; its validation and a preview of its records on the other. */
export function Builder({ code, onChange, onSave, canEdit, tries = canEdit, tabs = [], children }: Props) {
  const [goTo, setGoTo] = useState<{ line: number; column: number } | null>(null);
  const [tab, setTab] = useState("Preview");
  const settled = useSettled(code, TYPING);
  const {
    data: report,
    error,
    refetch,
  } = useQuery({ ...reportQuery(settled), enabled: tries && settled.trim() !== "" });
  const all = [{ title: "Preview", content: preview(report, code, tries) }, ...tabs];
  const shown = all.find(({ title }) => title === tab) ?? all[0]!;
  return (
    <div className="grid gap-4 xl:grid-cols-[minmax(0,1fr)_26rem]">
      <div className="grid min-w-0 content-start gap-3">
        <CodeEditor
          label="Source code"
          value={code}
          onChange={onChange}
          onSave={onSave}
          readOnly={!canEdit}
          messages={report ? [...report.errors, ...report.warnings] : NOTHING}
          goTo={goTo}
        />
        {error && <ErrorNotice error={error} retry={() => void refetch()} />}
        {report && <Messages report={report} onGo={setGoTo} />}
      </div>
      <div className="grid min-w-0 content-start gap-4">
        {children?.(report)}
        {report && (
          <section aria-label="Allowed hosts" className="card p-4">
            <h2 className="mb-2 font-semibold">Allowed hosts</h2>
            <Hosts hosts={report.hosts} />
          </section>
        )}
        <section className="card p-4">
          <div role="tablist" aria-label="About the code" className="mb-4 flex gap-1">
            {all.map(({ title }) => (
              <button
                key={title}
                type="button"
                role="tab"
                id={`tab-${title}`}
                aria-selected={title === shown.title}
                aria-controls="tab-content"
                onClick={() => setTab(title)}
                className="h-8 rounded-control px-2.5 text-soft hover:bg-hover aria-selected:bg-picked aria-selected:font-medium aria-selected:text-ink"
              >
                {title}
              </button>
            ))}
          </div>
          <div role="tabpanel" id="tab-content" aria-labelledby={`tab-${shown.title}`}>
            {shown.content}
          </div>
        </section>
      </div>
    </div>
  );
}

function preview(report: CodeReport | undefined, code: string, canEdit: boolean): ReactNode {
  if (!canEdit)
    return <p className="text-soft">You need the permission to edit custom sources to run this code.</p>;
  if (!report) return <p className="text-soft">Write the code, then preview its first records here.</p>;
  return <TrialPanel code={code} report={report} />;
}
