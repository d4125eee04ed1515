import { useState, type FormEvent } from "react";
import type { AlertRule } from "@/api/types";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { Dialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { showError, showSuccess } from "@/components/toast";
import { fieldMessages } from "@/api/problem";
import { momentInWords } from "@/format/time";
import { useSnooze, useWake, type Snoozed } from "./queries";

type Snooze = NonNullable<AlertRule["snooze"]>;

const HOURS = { "1": "1 hour", "4": "4 hours", "24": "1 day", "168": "1 week", other: "Until…" };
type Choice = keyof typeof HOURS;

interface ButtonProps {
  object: Snoozed;
  /** What is snoozed, for screen readers and as the title of the dialog. */
  name: string;
  /** What happens meanwhile. */
  effect: string;
  snooze: Snooze | null;
}

/** A button that snoozes a rule or an open alert, or ends its snooze. */
export function SnoozeButton({ object, name, effect, snooze }: ButtonProps) {
  const [isOpen, setOpen] = useState(false);
  const wake = useWake(object);
  const end = () => wake.mutate(undefined, { onError: (error) => showError(error) });
  // One button for both, so that it keeps the focus.
  return (
    <>
      <Button
        size="small"
        aria-haspopup={snooze ? undefined : "dialog"}
        disabledReason={wake.isPending ? "Working on it" : null}
        onClick={snooze ? end : () => setOpen(true)}
      >
        {snooze ? "End snooze" : "Snooze"}
        <span className="sr-only">
          {snooze && " of"} {name}
        </span>
      </Button>
      {isOpen && <SnoozeDialog object={object} name={name} effect={effect} onClose={() => setOpen(false)} />}
    </>
  );
}

interface DialogProps extends Omit<ButtonProps, "snooze"> {
  onClose: () => void;
}

function SnoozeDialog({ object, name, effect, onClose }: DialogProps) {
  const save = useSnooze(object);
  const [choice, setChoice] = useState<Choice>("1");
  const [other, setOther] = useState("");
  const [reason, setReason] = useState("");
  const messages = fieldMessages(save.error);
  function submit(event: FormEvent) {
    event.preventDefault();
    const until = choice === "other" ? new Date(other) : new Date(Date.now() + Number(choice) * 3_600_000);
    save.mutate(
      { until: until.toISOString(), reason: reason.trim() },
      {
        onSuccess: () => {
          showSuccess(`Snoozed until ${momentInWords(until.toISOString())}.`);
          onClose();
        },
      },
    );
  }
  return (
    <Dialog width="w-md" title={`Snooze: ${name}`} onClose={onClose}>
      <form className="grid gap-4" onSubmit={submit}>
        <p className="text-soft">{effect}</p>
        <ChoiceField
          label="For"
          words={HOURS}
          value={choice}
          error={choice === "other" ? undefined : messages.until}
          onChange={setChoice}
        />
        {choice === "other" && (
          <TextField
            label="Until"
            type="datetime-local"
            required
            hint="Within the next 30 days."
            error={messages.until}
            value={other}
            onChange={({ target }) => setOther(target.value)}
          />
        )}
        <TextField
          label="Reason"
          optional
          maxLength={200}
          error={messages.reason}
          value={reason}
          onChange={({ target }) => setReason(target.value)}
        />
        {save.isError && Object.keys(messages).length === 0 && <ErrorNotice error={save.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabledReason={save.isPending ? "Working on it" : null}>
            Snooze
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Until when something is snoozed, by whom and why. */
export function SnoozedUntil({ snooze }: { snooze: Snooze | null }) {
  if (!snooze) return null;
  return (
    <p className="text-[0.8125rem] wrap-anywhere text-wait">
      Snoozed until <time dateTime={snooze.until}>{momentInWords(snooze.until)}</time> by {snooze.by}
      {snooze.reason && `: ${snooze.reason}`}
    </p>
  );
}
