import { useState, type ReactNode } from "react";
import type { CodeMessage } from "@/api/types";
import { fieldMessages } from "@/api/problem";
import { Button } from "@/components/button";
import { CodeEditor } from "@/components/code-editor";
import { Field } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import type { JsonRecord, RequestItem } from "./transcript";

const NO_MESSAGES: CodeMessage[] = [];

interface Props {
  request: RequestItem;
  error: unknown;
  isDone: boolean;
  onBack: () => void;
  onSend: (edited: unknown) => void;
  children?: ReactNode;
}

/**
 * The arguments of a tool call as JSON, and code in an editor of its own. The server checks them like those of the agent.
 */
export function EditForm({ request, error, isDone, onBack, onSend, children }: Props) {
  const { code: givenCode, ...others } = request.arguments;
  const hasCode = typeof givenCode === "string";
  const [code, setCode] = useState(hasCode ? givenCode : "");
  const [text, setText] = useState(() => JSON.stringify(hasCode ? others : request.arguments, null, 2));
  const [syntaxError, setSyntaxError] = useState<string | null>(null);
  const fields = Object.entries(fieldMessages(error));
  const firstError = fields.map(([field, message]) => (field ? `${field}: ${message}` : message)).join(" ");
  function submit() {
    try {
      const parsed = JSON.parse(text) as JsonRecord;
      setSyntaxError(null);
      onSend(hasCode ? { ...parsed, code } : parsed);
    } catch (problem) {
      setSyntaxError(`This is not valid JSON: ${(problem as Error).message}`);
    }
  }
  return (
    <DecisionForm onSubmit={submit} onBack={onBack} isDone={isDone} label="Approve with changes">
      {hasCode && (
        // Escape closes lists of the editor, so it must not leave the form and lose the changes.
        <div onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()}>
          <CodeEditor label="Code" value={code} onChange={setCode} messages={NO_MESSAGES} minHeight="10rem" />
        </div>
      )}
      <Field
        label={hasCode ? "Other arguments" : "Arguments"}
        hint="Your changes are checked, then carried out as you have written them."
        error={syntaxError ?? (firstError || null)}
      >
        {(control) => (
          <textarea
            {...control}
            autoFocus
            rows={Math.min(18, text.split("\n").length + 1)}
            spellCheck={false}
            className="control font-mono text-[0.78rem]"
            value={text}
            onChange={({ target }) => setText(target.value)}
          />
        )}
      </Field>
      {children}
      {error != null && fields.length === 0 && <ErrorNotice error={error} />}
    </DecisionForm>
  );
}

interface DecisionFormProps {
  label: string;
  isDone: boolean;
  onSubmit: () => void;
  onBack: () => void;
  children: ReactNode;
}

export function DecisionForm({ label, isDone, onSubmit, onBack, children }: DecisionFormProps) {
  return (
    <form
      className="grid min-w-0 grid-cols-1 gap-3"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation(); // Escape leaves this form first, and closes the panel only the next time
        onBack();
      }}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" disabledReason={isDone ? "Sending your decision" : null}>
          {label}
        </Button>
        <Button onClick={onBack}>Back</Button>
      </div>
    </form>
  );
}
