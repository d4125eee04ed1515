import { useId, type KeyboardEvent, type Ref } from "react";
import { Button } from "@/components/button";
import { SendIcon, StopIcon } from "@/components/icons";

const MAX_TEXT = 20_000; // characters; the limit of the API

interface Props {
  text: string;
  onChange: (text: string) => void;
  onSend: () => void;
  /** Stops the agent. Null while it is not working. */
  onStop: (() => void) | null;
  /** Why no message can be sent now, or null. */
  disabledReason: string | null;
  /** What the agent is told about the open page, or null. */
  pageNote: string | null;
  ref?: Ref<HTMLTextAreaElement>;
}

/** The field for a message. Enter sends it, and Shift+Enter begins a new line. */
export function Composer({ text, onChange, onSend, onStop, disabledReason, pageNote, ref }: Props) {
  const hintId = useId();
  const canSend = disabledReason === null && text.trim() !== "";

  function onKeyDown(event: KeyboardEvent) {
    // While an input method composes a character, Enter only confirms the character.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    if (canSend) onSend();
  }

  return (
    <form
      data-composer
      className="border-t border-line bg-page p-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (canSend) onSend();
      }}
    >
      <div className="flex items-end gap-2">
        <textarea
          ref={ref}
          data-agent-message
          aria-label="Message to the agent"
          aria-describedby={hintId}
          placeholder="Ask, or say what you want"
          rows={Math.min(8, Math.max(2, text.split("\n").length))}
          maxLength={MAX_TEXT}
          className="control resize-none"
          value={text}
          onChange={({ target }) => onChange(target.value)}
          onKeyDown={onKeyDown}
        />
        <div className="grid gap-1">
          {onStop && (
            <Button size="icon" aria-label="Stop the agent" title="Stop the agent" onClick={onStop}>
              <StopIcon />
            </Button>
          )}
          {(!onStop || disabledReason === null) && (
            <Button
              type="submit"
              look="primary"
              size="icon"
              aria-label="Send"
              title="Send"
              disabledReason={canSend ? null : (disabledReason ?? "Write a message first")}
            >
              <SendIcon />
            </Button>
          )}
        </div>
      </div>
      <p id={hintId} className="mt-1 truncate text-xs text-faint">
        {pageNote ?? "Enter sends, Shift+Enter begins a new line."}
      </p>
    </form>
  );
}
