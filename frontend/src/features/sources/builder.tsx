import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import type { CodeReport } from "@/api/types";
import { CodeEditor } from "@/components/code-editor";
import { ErrorNotice } from "@/components/notice";
import { Hosts } from "./hosts";
import { Messages } from "./messages";
import { reportQuery } from "./queries";
import { TrialPanel } from "./trial-panel";
import { useDebounced } from "./use-debounced";

const TYPING_DELAY = 400; // milliseconds without typing after which the server validates the code
const NO_MESSAGES: CodeReport["errors"] = [];

interface Props {
  code: string;
  onChange: (code: string) => void;
  onSave?: () => void;
  canEdit: boolean;
  /** Whether the user may run the code. The default is `canEdit`. */
  canRun?: boolean;
  /** The maximum height of the editor, as a CSS length. */
  editorHeight?: string;
  /** Additional tabs beside the preview. */
  tabs?: { title: string; content: ReactNode }[];
  children?: (report: CodeReport | undefined) => ReactNode;
}

/** An editor for the code, with its validation and a preview of its records. */
export function Builder({
  code,
  onChange,
  onSave,
  canEdit,
  canRun = canEdit,
  editorHeight,
  tabs = [],
  children,
}: Props) {
  const [selectedPosition, setSelectedPosition] = useState<{ line: number; column: number } | null>(null);
  const [openTabTitle, setOpenTabTitle] = useState("Preview");
  const debouncedCode = useDebounced(code, TYPING_DELAY);
  const {
    data: report,
    error,
    refetch,
  } = useQuery({ ...reportQuery(debouncedCode), enabled: canRun && debouncedCode.trim() !== "" });
  const allTabs = [{ title: "Preview", content: previewContent(report, code, canRun) }, ...tabs];
  const openTab = allTabs.find(({ title }) => title === openTabTitle) ?? allTabs[0]!;
  return (
    <div className="@container">
      <div className="grid gap-4 @min-[60rem]:grid-cols-[minmax(0,1fr)_26rem]">
        <div className="grid min-w-0 content-start gap-3">
          <CodeEditor
            label="Source code"
            value={code}
            onChange={onChange}
            onSave={onSave}
            readOnly={!canEdit}
            messages={report ? [...report.errors, ...report.warnings] : NO_MESSAGES}
            cursorTarget={selectedPosition}
            maxHeight={editorHeight}
          />
          {error && <ErrorNotice error={error} retry={() => void refetch()} />}
          {report && <Messages report={report} onSelect={setSelectedPosition} />}
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
              {allTabs.map(({ title }) => (
                <button
                  key={title}
                  type="button"
                  role="tab"
                  id={`tab-${title}`}
                  aria-selected={title === openTab.title}
                  aria-controls="tab-content"
                  onClick={() => setOpenTabTitle(title)}
                  className="h-8 rounded-control px-2.5 text-soft hover:bg-hover aria-selected:bg-picked aria-selected:font-medium aria-selected:text-ink"
                >
                  {title}
                </button>
              ))}
            </div>
            <div role="tabpanel" id="tab-content" aria-labelledby={`tab-${openTab.title}`}>
              {openTab.content}
            </div>
          </section>
        </div>
      </div>
    </div>
  );
}

function previewContent(report: CodeReport | undefined, code: string, canRun: boolean): ReactNode {
  if (!canRun)
    return <p className="text-soft">You need the permission to edit custom sources to run this code.</p>;
  if (!report) return <p className="text-soft">Write the code, then preview its first records here.</p>;
  return <TrialPanel code={code} report={report} />;
}
