import { useRef, useState, type RefObject } from "react";
import { fieldMessages, messagesBelow } from "@/api/problem";
import { Button } from "@/components/button";
import { ChangeCard } from "@/components/change-card";
import { classNames } from "@/components/class-names";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { withoutEmptyFields, type Config } from "@/components/schema-form/schema";
import { DecisionForm } from "./decision-form";
import { Disclosure, JsonView } from "./disclosure";
import { EditForm } from "./edit-form";
import { useKeepFocus } from "./keep-focus";
import { useDecide, type Decision } from "./queries";
import { missingSettings, readSettingsForm, SettingsForm } from "./settings-form";
import type { JsonRecord, RequestItem } from "./transcript";

const STATE_TEXTS: Record<RequestItem["state"], string> = {
  open: "Needs your approval",
  approved: "Approved",
  answered: "Answered",
  rejected: "Rejected",
  used: "Approved",
  failed: "Approved, but it failed. The error is shown below.",
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
  const card = useRef<HTMLElement>(null);
  return (
    <section
      ref={card}
      tabIndex={-1}
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
      <ChangeCard {...request.card} />
      {isOpen ? (
        <Decisions conversationId={conversationId} request={request} card={card} />
      ) : (
        <Disclosure summary="Details">
          <JsonView label={request.title} value={request.arguments} />
        </Disclosure>
      )}
    </section>
  );
}

type Mode = "decide" | "edit" | "reject";

interface DecisionsProps extends Omit<Props, "isOpen"> {
  card: RefObject<HTMLElement | null>;
}

function Decisions({ conversationId, request, card }: DecisionsProps) {
  useKeepFocus(card);
  const [mode, setMode] = useState<Mode>("decide");
  const [leftMode, setLeftMode] = useState<Mode | null>(null); // its button gets the focus back
  const form = readSettingsForm(request.card.form);
  const [config, setConfig] = useState<Config | null>(form && !form.filled ? {} : null);
  const [missing, setMissing] = useState<Record<string, string>>({});
  const decide = useDecide(conversationId, request.id);
  const isDone = decide.isPending || decide.isSuccess;

  function send(decision: Decision) {
    if (!isDone) decide.mutate({ decision });
  }
  function sendWithSettings(decision: Decision) {
    if (isDone) return;
    if (!form || !config) return decide.mutate({ decision });
    const found = missingSettings(form, config);
    setMissing(found);
    if (Object.keys(found).length > 0) return;
    decide.mutate({ decision, settings: { config: withoutEmptyFields(config), hosts: form.hosts } });
  }
  function back() {
    decide.reset();
    setLeftMode(mode);
    setMode("decide");
  }

  const settings = form && (
    <SettingsForm
      form={form}
      config={config}
      onChange={setConfig}
      errors={{ ...messagesBelow(fieldMessages(decide.error), "config"), ...missing }}
    />
  );
  if (mode === "edit") {
    return (
      <EditForm
        request={request}
        error={decide.error}
        onBack={back}
        isDone={isDone}
        onSend={(edited) => sendWithSettings({ decision: "edit", arguments: edited })}
      >
        {settings}
      </EditForm>
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
    <form
      className="grid min-w-0 grid-cols-1 gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        sendWithSettings({ decision: "approve" });
      }}
    >
      {settings}
      <div className="flex flex-wrap items-center gap-2">
        <Button type="submit" look="primary" disabledReason={disabledReason}>
          Approve
        </Button>
        <Button
          autoFocus={leftMode === "edit"}
          disabledReason={disabledReason ?? tooLargeReason(request.arguments)}
          onClick={() => setMode("edit")}
        >
          Edit
        </Button>
        <Button
          autoFocus={leftMode === "reject"}
          disabledReason={disabledReason}
          onClick={() => setMode("reject")}
        >
          Reject
        </Button>
        <span className="text-xs text-faint">
          Expires <RelativeTime time={request.expires_at} />
        </span>
      </div>
      {decide.error && <ErrorNotice error={decide.error} />}
    </form>
  );
}

/** Why the arguments cannot be edited here, or null. Instead of arguments that are too large the server sends a note. */
function tooLargeReason(sent: JsonRecord): string | null {
  const isNote = Object.keys(sent).join() === "note";
  return isNote ? "The arguments are too large to edit here." : null;
}

interface RejectProps {
  error: unknown;
  isDone: boolean;
  onBack: () => void;
  onSend: (reason: string) => void;
}

function RejectForm({ error, isDone, onBack, onSend }: RejectProps) {
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
