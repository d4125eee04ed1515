import { useEffect, useId, useRef, type ReactNode } from "react";
import { Button } from "./button";

interface Props {
  open: boolean;
  title: string;
  children: ReactNode;
  confirm: string;
  danger?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/**
 * Asks for confirmation before something that cannot be undone. The browser's own modal dialog keeps
 * the focus inside, closes with Escape and needs no injected styles, which the content policy would block.
 */
export function ConfirmDialog({ open, title, children, confirm, danger, onConfirm, onClose }: Props) {
  const titleId = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
      aria-labelledby={titleId}
      className="m-auto w-[min(26rem,calc(100vw-2rem))] rounded-card border border-line bg-raised p-0 text-ink shadow-float backdrop:bg-black/40"
    >
      <div className="grid gap-3 p-5">
        <h2 id={titleId} className="text-base font-semibold">
          {title}
        </h2>
        <div className="text-soft">{children}</div>
        <div className="mt-2 flex justify-end gap-2">
          <Button onClick={onClose}>Back</Button>
          <Button look={danger ? "danger" : "primary"} onClick={onConfirm}>
            {confirm}
          </Button>
        </div>
      </div>
    </dialog>
  );
}
