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
  const [isCopied, setIsCopied] = useState(false);
  if (!("clipboard" in navigator)) return null;
  async function copy() {
    await navigator.clipboard.writeText(text);
    setIsCopied(true);
    setTimeout(() => setIsCopied(false), CONFIRMATION_DURATION);
  }
  return (
    <Button look="quiet" size="small" className={className} onClick={() => void copy()}>
      {isCopied ? <CheckIcon /> : <CopyIcon />}
      {isCopied ? "Copied" : label}
    </Button>
  );
}
