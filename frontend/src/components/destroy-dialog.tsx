import type { ReactNode } from "react";
import { ConfirmDialog } from "./dialog";
import { ErrorNotice } from "./notice";

/** The part of a mutation that the dialog uses. */
interface Destruction<Target> {
  mutate: (target: Target, options: { onSuccess: () => void }) => void;
  isPending: boolean;
  error: unknown;
  reset: () => void;
}

interface Props<Target> {
  /** What is asked about, or null while the dialog is closed. */
  target: Target | null;
  /** The name that the user has to type. */
  nameOf: (target: Target) => string;
  /** The question. The usual one names what is destroyed. */
  title?: string;
  /** What is done, such as "Delete" or "Revoke". */
  verb: string;
  destruction: Destruction<Target>;
  onClose: () => void;
  /** Says what is lost, and what is kept. */
  children: ReactNode;
}

/** Asks for the name of what is destroyed. It is open until that is done, and says why if it could not be done. */
export function DestroyDialog<Target>({
  target,
  nameOf,
  title,
  verb,
  destruction,
  onClose,
  children,
}: Props<Target>) {
  const name = target === null ? "" : nameOf(target);
  function close() {
    destruction.reset();
    onClose();
  }
  return (
    <ConfirmDialog
      open={target !== null}
      title={title ?? `${verb} ${name}?`}
      confirmLabel={verb}
      danger
      nameToType={name}
      disabledReason={destruction.isPending ? "Working on it" : null}
      onClose={close}
      onConfirm={() => target !== null && destruction.mutate(target, { onSuccess: close })}
    >
      <div className="grid gap-3">
        <div>{children}</div>
        {destruction.error != null && <ErrorNotice error={destruction.error} />}
      </div>
    </ConfirmDialog>
  );
}
