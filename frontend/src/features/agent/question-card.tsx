import { useRef, type ReactNode, type RefObject } from "react";
import { Button } from "@/components/button";
import { ChangeCard } from "@/components/change-card";
import { classNames } from "@/components/class-names";
import { ErrorNotice } from "@/components/notice";
import { ConnectorForm } from "./connector-form";
import { FollowUpForm } from "./follow-up-form";
import { useKeepFocus } from "./keep-focus";
import { useDecide } from "./queries";
import type { JsonRecord, RequestItem } from "./transcript";

interface Props {
  conversationId: string;
  question: RequestItem;
  isOpen: boolean;
}

/** A question of the agent, with choices as buttons or a form. The message field below also answers it. */
export function QuestionCard({ conversationId, question, isOpen }: Props) {
  const decide = useDecide(conversationId, question.id);
  const { card } = question;
  const section = useRef<HTMLElement>(null);
  const isDone = decide.isPending || decide.isSuccess;
  const answer = (value: Record<string, unknown>) =>
    !isDone && decide.mutate({ decision: { decision: "answer", answer: value } });
  return (
    <section
      ref={section}
      tabIndex={-1}
      aria-label={`Question: ${card.title}`}
      className={classNames(
        "grid min-w-0 grid-cols-1 gap-3 rounded-card border bg-surface p-3",
        isOpen ? "border-live" : "border-line",
      )}
    >
      <p className="font-medium wrap-anywhere whitespace-pre-wrap">{card.title}</p>
      <ChangeCard {...card} />
      {isOpen && (
        <Answers card={section}>
          {(card.choices ?? []).length > 0 && (
            <Choices choices={card.choices} isDone={isDone} onChoose={(text) => answer({ text })} />
          )}
          {card.form && <Form form={card.form} onSaved={answer} />}
        </Answers>
      )}
      {decide.error && <ErrorNotice error={decide.error} />}
      {!isOpen && <p className="wrap-anywhere text-soft">{answerText(question)}</p>}
    </section>
  );
}

function Answers({ card, children }: { card: RefObject<HTMLElement | null>; children: ReactNode }) {
  useKeepFocus(card);
  return children;
}

interface FormProps {
  form: JsonRecord;
  /** Is called with the answer: the id of what was saved. */
  onSaved: (answer: Record<string, string>) => void;
}

function Form({ form, onSaved }: FormProps) {
  if (form.kind === "follow_up")
    return <FollowUpForm form={form} onSaved={(id) => onSaved({ follow_up_id: id })} />;
  return <ConnectorForm form={form} onSaved={(id) => onSaved({ connector_id: id })} />;
}

interface ChoicesProps {
  choices: string[];
  isDone: boolean;
  onChoose: (choice: string) => void;
}

/** Plain buttons: Tab moves between them, as between all buttons. */
function Choices({ choices, isDone, onChoose }: ChoicesProps) {
  return (
    <div role="group" aria-label="Choices" className="flex flex-wrap gap-2">
      {choices.map((choice) => (
        <Button
          key={choice}
          className="h-auto! min-h-8.5 py-1.5! text-left! whitespace-normal!"
          disabledReason={isDone ? "Sending your answer" : null}
          onClick={() => onChoose(choice)}
        >
          {choice}
        </Button>
      ))}
    </div>
  );
}

function answerText({ state, answer }: RequestItem): string {
  if (state === "answered") {
    const text = answer?.text;
    return typeof text === "string" ? `You answered: ${text}` : "You answered.";
  }
  if (state === "expired") return "Expired without an answer.";
  if (state === "superseded") return "Replaced by your next message.";
  return "Not answered.";
}
