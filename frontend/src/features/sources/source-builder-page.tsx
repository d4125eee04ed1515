import { Link, useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import type { CodeReport } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { PageHeader } from "@/components/page";
import { useHasPermission } from "@/session/use-session";
import { Builder } from "./builder";
import { SaveNewSource, useNewSource } from "./save-new-source";

export interface AgentProps {
  conversationId: string | null;
  onStart: (conversationId: string) => void;
  onCode: (code: string) => void;
  changedCode: string | null;
}

interface Props {
  conversationId: string | null;
  /** Renders the conversation with the agent. */
  agent: (props: AgentProps) => ReactNode;
}

/** An editor, a preview and the agent side by side. The editor shows the code that the agent writes. */
export function SourceBuilderPage({ conversationId, agent }: Props) {
  const canEdit = useHasPermission()("custom_sources.edit");
  if (canEdit) return <SourceBuilder conversationId={conversationId} agent={agent} />;
  return (
    <div className="mx-auto max-w-[100rem] px-4 py-5 md:px-6">
      <PageHeader title="Source builder" />
      <p className="text-soft">
        You need the permission to edit custom sources to build one.{" "}
        <Link to="/sources" className="link">
          Back to custom sources
        </Link>
      </p>
    </div>
  );
}

type Side = "agent" | "code";

function SourceBuilder({ conversationId, agent }: Props) {
  const navigate = useNavigate();
  const [shownSide, setShownSide] = useState<Side>("agent");
  const [code, setCode] = useState("");
  const [agentCode, setAgentCode] = useState("");
  const [shownId, setShownId] = useState(conversationId);
  const isChanged = code !== agentCode;

  if (conversationId !== shownId) {
    setShownId(conversationId);
    // Code that the user has written before the first message stays.
    if (shownId !== null) {
      setCode("");
      setAgentCode("");
    }
  }

  /** The user's own changes stay until the user replaces them. */
  function receive(newest: string) {
    if (code === agentCode) setCode(newest);
    setAgentCode(newest);
  }
  return (
    <div className="grid min-h-0 flex-1 grid-rows-[auto_1fr] xl:grid-cols-[minmax(0,1fr)_27rem] xl:grid-rows-1">
      {/* On a narrow page, the heading beside the editor is hidden with it. */}
      {shownSide === "agent" && <h1 className="sr-only xl:hidden">Source builder</h1>}
      <SideButtons shown={shownSide} onShow={setShownSide} />
      <div
        className={classNames(
          "min-h-0 min-w-0 overflow-y-auto px-4 py-5 md:px-6",
          shownSide !== "code" && "max-xl:hidden",
        )}
      >
        <PageHeader title="Source builder">
          <Link to="/sources/new" className={buttonClasses()}>
            Start from a template
          </Link>
        </PageHeader>
        <CodeSide
          code={code}
          agentCode={agentCode}
          onChange={setCode}
          onShowAgentCode={() => setCode(agentCode)}
        />
      </div>
      <section
        aria-label="Agent"
        className={classNames(
          "flex min-h-0 min-w-0 flex-col border-line bg-page xl:border-l",
          shownSide !== "agent" && "max-xl:hidden",
        )}
      >
        <div className="flex items-center gap-1 border-b border-line px-3 py-2">
          <h2 className="mr-auto ml-1 font-semibold">Agent</h2>
          <Link to="/agent" className={buttonClasses("quiet", "small")}>
            All conversations
          </Link>
          <Link
            to="/sources/builder/{-$conversationId}"
            params={{}}
            className={buttonClasses("quiet", "small")}
          >
            Start again
          </Link>
        </div>
        {agent({
          conversationId,
          onCode: receive,
          changedCode: agentCode !== "" && isChanged ? code : null,
          onStart: (id) =>
            void navigate({ to: "/sources/builder/{-$conversationId}", params: { conversationId: id } }),
        })}
      </section>
    </div>
  );
}

/** On a narrow page either the agent or the code is shown. */
function SideButtons({ shown, onShow }: { shown: Side; onShow: (side: Side) => void }) {
  const sides: [Side, string][] = [
    ["agent", "Agent"],
    ["code", "Code and preview"],
  ];
  return (
    <div role="group" aria-label="Show" className="flex gap-1 border-b border-line px-3 py-2 xl:hidden">
      {sides.map(([side, label]) => (
        <button
          key={side}
          type="button"
          aria-pressed={side === shown}
          onClick={() => onShow(side)}
          className="h-8 rounded-control px-2.5 text-soft hover:bg-hover aria-pressed:bg-picked aria-pressed:font-medium aria-pressed:text-ink"
        >
          {label}
        </button>
      ))}
    </div>
  );
}

interface CodeSideProps {
  code: string;
  agentCode: string;
  onChange: (code: string) => void;
  onShowAgentCode: () => void;
}

function CodeSide({ code, agentCode, onChange, onShowAgentCode }: CodeSideProps) {
  const source = useNewSource(code);
  const hasOtherCode = agentCode !== "" && code !== agentCode;
  return (
    <>
      {hasOtherCode && (
        <div
          role="status"
          className="mb-4 flex flex-wrap items-center gap-3 rounded-card border border-line bg-wait-wash px-4 py-2"
        >
          <p className="mr-auto">The editor shows your changes, and not the agent's newest code.</p>
          <Button size="small" onClick={onShowAgentCode}>
            Replace them with the agent's code
          </Button>
        </div>
      )}
      <Builder
        code={code}
        onChange={onChange}
        onSave={() => source.save(false)}
        canEdit
        editorHeight="max(20rem, 45dvh)"
      >
        {(report) => <SaveSection source={source} report={report} hasCode={code.trim() !== ""} />}
      </Builder>
    </>
  );
}

interface SaveProps {
  source: ReturnType<typeof useNewSource>;
  report: CodeReport | undefined;
  hasCode: boolean;
}

function SaveSection({ source, report, hasCode }: SaveProps) {
  return (
    <section aria-label="Save" className="card grid gap-3 p-4">
      {hasCode ? (
        <details>
          <summary>Save it without the agent</summary>
          <div className="mt-3 grid gap-3">
            <SaveNewSource source={source} report={report} />
          </div>
        </details>
      ) : (
        <p className="text-soft">The agent writes the code here. You can also write it yourself.</p>
      )}
    </section>
  );
}
