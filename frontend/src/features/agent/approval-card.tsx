import { useState, type ReactNode } from "react";
import { fieldMessages } from "@/api/problem";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { Field, TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { CardView } from "./card-view";
import { Disclosure, JsonView } from "./disclosure";
import { useDecide, type Decision } from "./queries";
import type { RequestItem } from "./transcript";

const STATE_TEXTS: Record<RequestItem["state"], string> = {
  open: "Needs your approval",
  approved: "Approved",
  answered: "Answered",
  rejected: "Rejected",
  used: "Approved",
  expired: "Expired. Nothing was changed. Ask again if you still want this.",
  stopped: "Stopped. Nothing was changed.",
  superseded: "Replaced by your next message. Nothing was changed.",
};

interface Props {
  conversationId: string;
  request: RequestItem;
  /** Whether the turn still waits for the decision. */
  isOpen: boolean;
}

/** A tool call that waits for an approval. The user may approve, edit or reject it. */
export function ApprovalCard({ conversationId, request, isOpen }: Props) {
  const title = request.card.title || request.title;
  return (
    <section
      aria-label={`Approval: ${title}`}
      className={classNames(
        "grid min-w-0 grid-cols-1 gap-3 rounded-card border bg-surface p-3",
        isOpen ? "border-live" : "border-line",
      )}
    >
      <div className="min-w-0">
        <p className={classNames("text-xs", isOpen ? "font-medium text-live" : "text-faint")}>
          {isOpen || request.state !== "open" ? STATE_TEXTS[request.state] : "Not decided"}
          {request.edited && ", with your changes"}
        </p>
        <p className="font-medium wrap-anywhere">{title}</p>
        {request.reason && <p className="wrap-anywhere text-soft">Reason: {request.reason}</p>}
      </div>
      <CardView card={request.card} />
      {isOpen ? (
        <Decisions conversationId={conversationId} request={request} />
      ) : (
        <Disclosure summary="Details">
          <JsonView label={request.title} value={request.arguments} />
        </Disclosure>
      )}
    </section>
  );
}

type Mode = "decide" | "edit" | "reject";

function Decisions({ conversationId, request }: Omit<Props, "isOpen">) {
  const [mode, setMode] = useState<Mode>("decide");
  const decide = useDecide(conversationId, request.id);
  const isDone = decide.isPending || decide.isSuccess;
  const send = (decision: Decision) => !isDone && decide.mutate(decision);
  function back() {
    decide.reset();
    setMode("decide");
  }
  if (mode === "edit") {
    return (
      <EditForm
        request={request}
        error={decide.error}
        onBack={back}
        isDone={isDone}
        onSend={(edited) => send({ decision: "edit", arguments: edited })}
      />
    );
  }
  if (mode === "reject") {
    return (
      <RejectForm
        error={decide.error}
        onBack={back}
        isDone={isDone}
        onSend={(reason) => send({ decision: "reject", reason })}
      />
    );
  }
  const disabledReason = isDone ? "Sending your decision" : null;
  return (
    <div className="grid gap-2">
      <div className="flex flex-wrap items-center gap-2">
        <Button look="primary" disabledReason={disabledReason} onClick={() => send({ decision: "approve" })}>
          Approve
        </Button>
        <Button disabledReason={disabledReason} onClick={() => setMode("edit")}>
          Edit
        </Button>
        <Button disabledReason={disabledReason} onClick={() => setMode("reject")}>
          Reject
        </Button>
        <span className="text-xs text-faint">
          Expires <RelativeTime time={request.expires_at} />
        </span>
      </div>
      {decide.error && <ErrorNotice error={decide.error} />}
    </div>
  );
}

interface FormProps<T> {
  error: unknown;
  isDone: boolean;
  onBack: () => void;
  onSend: (value: T) => void;
}

/** The arguments of the tool call as JSON. The server checks them like those of the agent, and shows a new card. */
function EditForm({ request, error, isDone, onBack, onSend }: FormProps<unknown> & { request: RequestItem }) {
  const [text, setText] = useState(() => JSON.stringify(request.arguments, null, 2));
  const [syntaxError, setSyntaxError] = useState<string | null>(null);
  const fields = Object.entries(fieldMessages(error));
  const firstError = fields.map(([field, message]) => (field ? `${field}: ${message}` : message)).join(" ");
  function submit() {
    try {
      const parsed: unknown = JSON.parse(text);
      setSyntaxError(null);
      onSend(parsed);
    } catch (problem) {
      setSyntaxError(`This is not valid JSON: ${(problem as Error).message}`);
    }
  }
  return (
    <DecisionForm onSubmit={submit} onBack={onBack} isDone={isDone} label="Approve with changes">
      <Field
        label="Arguments"
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
      {error != null && fields.length === 0 && <ErrorNotice error={error} />}
    </DecisionForm>
  );
}

function RejectForm({ error, isDone, onBack, onSend }: FormProps<string>) {
  const [reason, setReason] = useState("");
  return (
    <DecisionForm onSubmit={() => onSend(reason.trim())} onBack={onBack} isDone={isDone} label="Reject">
      <TextField
        label="Reason"
        optional
        autoFocus
        hint="The agent reads it and may make another proposal."
        maxLength={1000}
        value={reason}
        onChange={({ target }) => setReason(target.value)}
      />
      {error != null && <ErrorNotice error={error} />}
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

function DecisionForm({ label, isDone, onSubmit, onBack, children }: DecisionFormProps) {
  return (
    <form
      className="grid gap-3"
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
