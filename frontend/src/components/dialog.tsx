import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { Button } from "./button";
import { classNames } from "./class-names";
import { TextField } from "./field";
import { Name } from "./name";

const FRAME =
  "m-auto rounded-card border border-line bg-raised text-ink shadow-float backdrop:bg-black/40 max-w-[calc(100vw-2rem)]";

interface DialogProps {
  title: ReactNode;
  /** Such as `w-md`. It is never wider than the window. */
  width: string;
  onClose: () => void;
  children: ReactNode;
}

/**
 * It is open while it is mounted. It uses the browser's modal dialog, which keeps the focus inside and closes with Escape.
 * It needs no injected styles, which the Content-Security-Policy would block.
 */
export function Dialog({ title, width, onClose, children }: DialogProps) {
  const titleId = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    // The browser gives the focus back if the dialog is closed, but not if it is removed, as by a button.
    return () => {
      if (document.activeElement === document.body && opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
      aria-labelledby={titleId}
      className={classNames(FRAME, width, "p-0")}
    >
      <div className="grid grid-cols-[minmax(0,1fr)] gap-3 p-5">
        <h2 id={titleId} className="text-base font-semibold wrap-anywhere">
          {title}
        </h2>
        {children}
      </div>
    </dialog>
  );
}

interface Props {
  open: boolean;
  title: string;
  children: ReactNode;
  /** Without it the dialog only says why the action is not possible. */
  confirmLabel?: string;
  danger?: boolean;
  /** The name that the user has to type before the action can be confirmed. */
  nameToType?: string;
  /** Why the action cannot be confirmed now, or null. */
  disabledReason?: string | null;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks for confirmation before an action that cannot be undone. */
export function ConfirmDialog({
  open,
  title,
  children,
  confirmLabel,
  danger,
  nameToType,
  disabledReason = null,
  onConfirm,
  onClose,
}: Props) {
  const titleId = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const [typedName, setTypedName] = useState("");
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  const isConfirmed = nameToType === undefined || inOneLine(typedName) === inOneLine(nameToType);
  const refusal = disabledReason ?? (isConfirmed ? null : "Type the name first");
  function submit(event: FormEvent) {
    event.preventDefault();
    if (refusal === null && confirmLabel) onConfirm();
  }
  return (
    <dialog
      ref={dialog}
      onClose={() => {
        setTypedName("");
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
      aria-labelledby={titleId}
      className={classNames(FRAME, "w-104 p-0")}
    >
      <form onSubmit={submit} className="grid gap-3 p-5">
        <h2 id={titleId} className="text-base font-semibold wrap-anywhere">
          {title}
        </h2>
        <div className="text-soft">{children}</div>
        {nameToType !== undefined && (
          <TextField
            label={
              <>
                Type <Name className="font-semibold">{nameToType}</Name> to confirm
              </>
            }
            autoComplete="off"
            spellCheck={false}
            value={typedName}
            onChange={({ target }) => setTypedName(target.value)}
          />
        )}
        <div className="mt-2 flex justify-end gap-2">
          <Button onClick={onClose}>Back</Button>
          {confirmLabel && (
            <Button
              type="submit"
              look={danger ? "danger" : "primary"}
              title={refusal ?? undefined}
              disabledReason={refusal}
            >
              {confirmLabel}
            </Button>
          )}
        </div>
      </form>
    </dialog>
  );
}

/** A field shows a name without its line breaks and outer spaces. */
function inOneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
