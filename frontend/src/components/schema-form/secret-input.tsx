import { useState } from "react";
import { Button } from "@/components/button";
import { LockIcon } from "@/components/icons";
import { isMaskedSecret } from "./schema";
import type { InputProps } from "./setting-inputs";

/** An input for a secret. It shows only the last four characters of a stored secret. */
export function SecretInput({ control, value, onChange }: InputProps) {
  const [stored] = useState(() => (isMaskedSecret(value) && value.set ? value : null));
  if (isMaskedSecret(value) && value.set) {
    return (
      <div className="flex items-center gap-2">
        <span className="control flex items-center gap-2 bg-hover! text-soft!">
          <LockIcon className="shrink-0 text-faint" />
          {value.last4 ? `Set, ends in ${value.last4}` : "Set"}
        </span>
        <Button {...control} aria-invalid={undefined} aria-label="Replace" onClick={() => onChange("")}>
          Replace
        </Button>
      </div>
    );
  }
  return (
    <div className="flex items-center gap-2">
      <input
        className="control"
        type="password"
        autoComplete="new-password"
        {...control}
        value={typeof value === "string" ? value : ""}
        onChange={({ target }) => onChange(target.value)}
      />
      {stored && <Button onClick={() => onChange(stored)}>Keep current</Button>}
    </div>
  );
}
