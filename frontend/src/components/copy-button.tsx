import { useState } from "react";
import { Button } from "./button";
import { CheckIcon, CopyIcon } from "./icons";

const CONFIRMATION_DURATION = 2_000; // milliseconds

/** Copies a text. Browsers provide the clipboard only on https and localhost, so elsewhere there is no button. */
export function CopyButton({
  text,
  label = "Copy",
  className,
}: {
  text: string;
  label?: string;
  className?: string;
}) {
  const [outcome, setOutcome] = useState<"Copied" | "Not copied" | null>(null);
  if (!("clipboard" in navigator)) return null;
  async function copy() {
    const isCopied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false, // the browser did not allow it
    );
    setOutcome(isCopied ? "Copied" : "Not copied");
    setTimeout(() => setOutcome(null), CONFIRMATION_DURATION);
  }
  return (
    <Button look="quiet" size="small" className={className} onClick={() => void copy()}>
      {outcome === "Copied" ? <CheckIcon /> : <CopyIcon />}
      {outcome ?? label}
    </Button>
  );
}
